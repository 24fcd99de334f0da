//! German, French and Spanish: few rules, for the plain forms of a refusal alone.
//!
//! Built as the [English](super::english) ones. There was no labelled text to measure them on: they are tested with
//! sentences written for the purpose, and lean towards saying nothing.

use super::language::{Language, core, sign};

/// See the module.
pub(super) const GERMAN: Language = Language {
    name: "German",
    writer: r" (?:ich (?:kann|darf|werde|möchte|will)|(?:kann|darf|werde|möchte|will) ich) ",
    fragments: &[(
        "{serve}",
        concat!(
            r"(?:helfen|weiterhelfen|unterstützen|behilflich sein|erfüllen|beantworten|antworten|nachkommen|",
            r"entsprechen|bereitstellen|zur verfügung stellen|erstellen|verfassen|schreiben|generieren|anbieten|",
            r"mitwirken|mitmachen|weitergeben|preisgeben|teilen|ausführen|erzeugen|liefern|besprechen|fördern)"
        ),
    )],
    cores: &[
        // Dabei kann ich nicht helfen.
        core("kann_nicht", 70, r"{i}(?:[^.]* )?(?:nicht|keine?[nrsm]?) (?:[^.]* )?{serve} "),
        // Das muss ich ablehnen. Ich lehne das ab.
        core(
            "ablehnen",
            100,
            concat!(
                r"^ [^.]*(?:ich muss|muss ich) (?:[^.]* )?ablehnen |^ [^.]*(?:ich lehne|lehne ich) (?:es |das |",
                r"dies |diese |ihre |deine |leider )[^.]* ?ab |^ [^.]*ich weigere mich ",
            ),
        ),
        // Das verstößt gegen meine Richtlinien.
        core(
            "richtlinien",
            80,
            concat!(
                r" (?:verstößt|verstoßen|verstösst) gegen (?:meine|unsere|die) (?:[^ .]+ )?(?:richtlinien|",
                r"grundsätze|prinzipien|regeln|programmierung) | widerspricht (?:meinen|unseren) ",
            ),
        ),
    ],
    signs: &[&[
        sign(
            "leid",
            45,
            concat!(
                r"^ (?:[^.]{0,60}\. )?(?:es tut mir (?:sehr |wirklich )?leid|tut mir (?:sehr |wirklich )?leid|",
                r"leider|entschuldigung|entschuldige|verzeihung|ich bedaure|ich bedauere|bedauerlicherweise) ",
            ),
        ),
        sign(
            "beginnt",
            30,
            concat!(
                r"^ (?:nein (?:\. )?)?(?:[^. ]+ )?(?:ich (?:kann|darf|werde|möchte|will)|(?:kann|darf|werde|",
                r"möchte|will) ich) ",
            ),
        ),
        sign(
            "dabei",
            35,
            concat!(
                r" (?:dabei|damit|hierbei|diese[rsmn]? (?:anfrage|bitte|frage|aufforderung|wunsch|thema)|",
                r"ihre[rnm]? (?:anfrage|bitte)|deine[rnm]? (?:anfrage|bitte)) ",
            ),
        ),
        sign(
            "schaden",
            30,
            concat!(
                r" (?:illegal\w*|gefährlich\w*|unangemessen\w*|schädlich\w*|strafbar\w*|unethisch\w*|gewalt\w*|",
                r"beleidigend\w*|diskriminierend\w*|verboten) ",
            ),
        ),
        sign(
            "aber",
            -75,
            concat!(
                r" (?:aber|jedoch|allerdings|trotzdem|dennoch) (?:hier (?:ist|sind)|ich kann|kann ich|im ",
                r"allgemeinen|es gibt|die|der|das|meist) ",
            ),
        ),
        sign(
            "mehr",
            -100,
            concat!(
                r" (?:ohne (?:weitere|mehr|den|die|das|genauere)|könnten sie|kannst du (?:mir|bitte)|können sie ",
                r"(?:mir|bitte)|bitte (?:geben|teilen|schicken|senden)) ",
            ),
        ),
    ]],
};

/// See the module.
pub(super) const FRENCH: Language = Language {
    name: "French",
    writer: r" je ne ",
    fragments: &[
        (
            "{non}",
            concat!(
                r"(?:peux|puis|vais|veux|souhaite|saurais|dois|suis) ",
                r"(?:malheureusement |vraiment |absolument )?(?:pas )?",
                r"(?:en mesure de |autorisée? à |capable de |programmée? pour |à l'aise pour |disposée? à )?"
            ),
        ),
        (
            "{serve}",
            concat!(
                concat!(
                    r"(?:(?:(?:vous|te|y|en|l'|t'|m'y) ?){0,2})(?:aider|t'aider|assister|t'assister|répondre|fournir|",
                    r"donner|satisfaire|créer|",
                ),
                r"générer|écrire|rédiger|produire|partager|participer|accéder à (?:votre|ta|cette) demande|",
                r"traiter|accomplir|faire (?:cela|ça)|discuter|divulguer|promouvoir|encourager|proposer)"
            ),
        ),
    ],
    cores: &[
        // Je ne peux pas vous aider.
        core("ne_peux_pas", 70, r"{i}{non}{serve} "),
        // Je dois refuser.
        core(
            "refuse",
            100,
            concat!(
                r"^ [^.]*je (?:dois|me vois dans l'obligation de|suis obligée? de) (?:[^ .]+ )?(?:refuser|",
                r"décliner) |^ [^.]*je (?:refuse|décline) (?:de |d'|cette |votre |ta )",
            ),
        ),
        // C'est contraire à mes principes.
        core(
            "principes",
            80,
            concat!(
                r" (?:contraire à|contraires à|contre|enfreint|viole|va à l'encontre de) (?:mes|nos) ",
                r"(?:principes|règles|directives|valeurs|consignes|politiques) ",
            ),
        ),
    ],
    signs: &[&[
        sign(
            "désolé",
            45,
            concat!(
                r"^ (?:[^.]{0,60}\. )?(?:je suis (?:vraiment |sincèrement )?(?:désolée?|navrée?)|désolée?|je ",
                r"m'excuse|mes excuses|malheureusement|je regrette) ",
            ),
        ),
        sign("commence", 30, r"^ (?:non (?:\. )?)?je ne "),
        sign(
            "demande",
            35,
            concat!(
                r" (?:cette (?:demande|requête|question)|votre (?:demande|requête)|ta demande|à cela|avec (?:ça|",
                r"cela)|pour (?:ça|cela)) ",
            ),
        ),
        sign(
            "nuisible",
            30,
            concat!(
                r" (?:illégale?s?|dangereu(?:x|ses?)|inappropriée?s?|nuisibles?|contraires? à l'éthique|",
                r"offensante?s?|violence|haineu(?:x|ses?)|discriminatoires?) ",
            ),
        ),
        sign(
            "mais",
            -75,
            r" (?:mais|cependant|toutefois|néanmoins) (?:je peux|voici|voilà|en général|il existe|il y a|on) ",
        ),
        sign(
            "plus",
            -100,
            concat!(
                r" (?:sans (?:plus|davantage|voir|connaître)|pourriez-vous|pouvez-vous|peux-tu|pourrais-tu|",
                r"veuillez (?:préciser|fournir)) ",
            ),
        ),
    ]],
};

/// See the module.
pub(super) const SPANISH: Language = Language {
    name: "Spanish",
    writer: r" no ",
    fragments: &[
        (
            "{no}",
            concat!(
                r"(?:me |te |le |les )?(?:puedo|podré|podría|debo|voy a|quiero|",
                concat!(
                    r"es posible|estoy (?:autorizad[oa]|programad[oa]|diseñad[oa]|capacitad[oa]|en condiciones) (?:a|",
                    r"para|de)|",
                ),
                r"soy capaz de|me siento cómod[oa]) "
            ),
        ),
        (
            "{serve}",
            concat!(
                concat!(
                    r"(?:ayudar|ayudarte|ayudarle|ayudarlo|ayudarla|asistir|asistirte|asistirle|proporcionar|",
                    r"proporcionarte|",
                ),
                r"proporcionarle|ofrecer|ofrecerte|ofrecerle|crear|generar|responder|responderte|escribir|redactar|",
                r"cumplir|compartir|participar|hacer eso|hacerlo|realizar|satisfacer|facilitar|divulgar|promover|",
                r"brindar|brindarte|brindarle|dar|darte|darle|atender)"
            ),
        ),
    ],
    cores: &[
        // No puedo ayudarte con eso.
        core("no_puedo", 70, r"{i}{no}{serve} "),
        // Debo rechazar tu solicitud.
        core("rechazo", 100, r"^ [^.]*(?:debo|tengo que|he de) (?:rechazar|declinar|negarme) |^ [^.]*me niego a "),
        // Va contra mis principios.
        core(
            "principios",
            80,
            concat!(
                r" (?:contra|viola|violaría|incumple|infringe) (?:de )?(?:mis|nuestras|nuestros|las) (?:[^ .]+ )",
                r"?(?:principios|normas|políticas|directrices|reglas|valores) ",
            ),
        ),
    ],
    signs: &[&[
        sign(
            "lo_siento",
            45,
            concat!(
                r"^ (?:[^.]{0,60}\. )?(?:lo siento(?: mucho)?|lo lamento|lamento|me temo|disculpa|disculpe|",
                r"lamentablemente|desafortunadamente|perdona|perdón) ",
            ),
        ),
        sign("empieza", 30, r"^ (?:no \. )?no "),
        sign(
            "solicitud",
            35,
            concat!(
                r" (?:(?:con|en|a) (?:eso|esto|ello)|(?:esa|esta|tu|su) (?:solicitud|petición|pregunta)|ese tema|",
                r"este tema) ",
            ),
        ),
        sign(
            "dañino",
            30,
            concat!(
                r" (?:ilegal(?:es)?|peligros[oa]s?|inapropiad[oa]s?|dañin[oa]s?|ofensiv[oa]s?|violencia|",
                r"discriminatori[oa]s?|ético|éticos) ",
            ),
        ),
        sign(
            "pero",
            -75,
            r" (?:pero|sin embargo|no obstante) (?:puedo|aquí|sí|en general|existen?|hay|te puedo|le puedo) ",
        ),
        sign(
            "más",
            -100,
            concat!(
                r" (?:sin (?:más|ver|conocer|saber)|podrías|podría usted|puedes (?:darme|compartir|enviar)|puede ",
                r"(?:darme|compartir|enviar)|por favor (?:comparte|envía|proporciona)) ",
            ),
        ),
    ]],
};
