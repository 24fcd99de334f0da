//! German, French and Spanish: few rules, for the plain forms of a refusal alone.
//!
//! Built as the [English](super::english) ones. There was no labelled text to measure them on: they are tested with
//! sentences written for the purpose, and lean towards saying nothing.

use super::language::{Language, core, sign};

/// See the module.
pub(super) const GERMAN: Language = Language {
    name: "German",
    writer: r" (?:ich (?:kann|darf|werde|möchte|will)|(?:kann|darf|werde|möchte|will) ich) ",
    gate: r" (?:nicht|keine?[nrsm]?|ablehnen|ab|verweigere|weigere|widerspricht|verst(?:ö|o)(?:ß|ss)t|unmöglich) ",
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
            r"^ [^.]*(?:ich muss|muss ich) (?:[^.]* )?ablehnen |^ [^.]*(?:ich lehne|lehne ich) (?:es |das |dies |diese |ihre |deine |leider )[^.]* ?ab |^ [^.]*ich weigere mich ",
        ),
        // Das verstößt gegen meine Richtlinien.
        core(
            "richtlinien",
            80,
            r" (?:verstößt|verstoßen|verstösst) gegen (?:meine|unsere|die) (?:[^ .]+ )?(?:richtlinien|grundsätze|prinzipien|regeln|programmierung) | widerspricht (?:meinen|unseren) ",
        ),
    ],
    signs: &[
        sign(
            "leid",
            45,
            r"^ (?:[^.]{0,60}\. )?(?:es tut mir (?:sehr |wirklich )?leid|tut mir (?:sehr |wirklich )?leid|leider|entschuldigung|entschuldige|verzeihung|ich bedaure|ich bedauere|bedauerlicherweise) ",
        ),
        sign(
            "beginnt",
            30,
            r"^ (?:nein (?:\. )?)?(?:[^. ]+ )?(?:ich (?:kann|darf|werde|möchte|will)|(?:kann|darf|werde|möchte|will) ich) ",
        ),
        sign(
            "dabei",
            35,
            r" (?:dabei|damit|hierbei|diese[rsmn]? (?:anfrage|bitte|frage|aufforderung|wunsch|thema)|ihre[rnm]? (?:anfrage|bitte)|deine[rnm]? (?:anfrage|bitte)) ",
        ),
        sign(
            "schaden",
            30,
            r" (?:illegal\w*|gefährlich\w*|unangemessen\w*|schädlich\w*|strafbar\w*|unethisch\w*|gewalt\w*|beleidigend\w*|diskriminierend\w*|verboten) ",
        ),
        sign(
            "aber",
            -75,
            r" (?:aber|jedoch|allerdings|trotzdem|dennoch) (?:hier (?:ist|sind)|ich kann|kann ich|im allgemeinen|es gibt|die|der|das|meist) ",
        ),
        sign(
            "mehr",
            -100,
            r" (?:ohne (?:weitere|mehr|den|die|das|genauere)|könnten sie|kannst du (?:mir|bitte)|können sie (?:mir|bitte)|bitte (?:geben|teilen|schicken|senden)) ",
        ),
    ],
};

/// See the module.
pub(super) const FRENCH: Language = Language {
    name: "French",
    writer: r" je ne ",
    gate: r" (?:pas|refuse|refuser|décliner|décline|contraire|enfreint|contre|incapable|impossible) ",
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
                r"(?:(?:(?:vous|te|y|en|l'|t'|m'y) ?){0,2})(?:aider|t'aider|assister|t'assister|répondre|fournir|donner|satisfaire|créer|",
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
            r"^ [^.]*je (?:dois|me vois dans l'obligation de|suis obligée? de) (?:[^ .]+ )?(?:refuser|décliner) |^ [^.]*je (?:refuse|décline) (?:de |d'|cette |votre |ta )",
        ),
        // C'est contraire à mes principes.
        core(
            "principes",
            80,
            r" (?:contraire à|contraires à|contre|enfreint|viole|va à l'encontre de) (?:mes|nos) (?:principes|règles|directives|valeurs|consignes|politiques) ",
        ),
    ],
    signs: &[
        sign(
            "désolé",
            45,
            r"^ (?:[^.]{0,60}\. )?(?:je suis (?:vraiment |sincèrement )?(?:désolée?|navrée?)|désolée?|je m'excuse|mes excuses|malheureusement|je regrette) ",
        ),
        sign("commence", 30, r"^ (?:non (?:\. )?)?je ne "),
        sign(
            "demande",
            35,
            r" (?:cette (?:demande|requête|question)|votre (?:demande|requête)|ta demande|à cela|avec (?:ça|cela)|pour (?:ça|cela)) ",
        ),
        sign(
            "nuisible",
            30,
            r" (?:illégale?s?|dangereu(?:x|ses?)|inappropriée?s?|nuisibles?|contraires? à l'éthique|offensante?s?|violence|haineu(?:x|ses?)|discriminatoires?) ",
        ),
        sign(
            "mais",
            -75,
            r" (?:mais|cependant|toutefois|néanmoins) (?:je peux|voici|voilà|en général|il existe|il y a|on) ",
        ),
        sign(
            "plus",
            -100,
            r" (?:sans (?:plus|davantage|voir|connaître)|pourriez-vous|pouvez-vous|peux-tu|pourrais-tu|veuillez (?:préciser|fournir)) ",
        ),
    ],
};

/// See the module.
pub(super) const SPANISH: Language = Language {
    name: "Spanish",
    writer: r" no ",
    gate: r" (?:no|niego|negarme|rechazar|declinar|rechazo|contra|viola|incumple|imposible) ",
    fragments: &[
        (
            "{no}",
            concat!(
                r"(?:me |te |le |les )?(?:puedo|podré|podría|debo|voy a|quiero|",
                r"es posible|estoy (?:autorizad[oa]|programad[oa]|diseñad[oa]|capacitad[oa]|en condiciones) (?:a|para|de)|",
                r"soy capaz de|me siento cómod[oa]) "
            ),
        ),
        (
            "{serve}",
            concat!(
                r"(?:ayudar|ayudarte|ayudarle|ayudarlo|ayudarla|asistir|asistirte|asistirle|proporcionar|proporcionarte|",
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
            r" (?:contra|viola|violaría|incumple|infringe) (?:de )?(?:mis|nuestras|nuestros|las) (?:[^ .]+ )?(?:principios|normas|políticas|directrices|reglas|valores) ",
        ),
    ],
    signs: &[
        sign(
            "lo_siento",
            45,
            r"^ (?:[^.]{0,60}\. )?(?:lo siento(?: mucho)?|lo lamento|lamento|me temo|disculpa|disculpe|lamentablemente|desafortunadamente|perdona|perdón) ",
        ),
        sign("empieza", 30, r"^ (?:no \. )?no "),
        sign(
            "solicitud",
            35,
            r" (?:(?:con|en|a) (?:eso|esto|ello)|(?:esa|esta|tu|su) (?:solicitud|petición|pregunta)|ese tema|este tema) ",
        ),
        sign(
            "dañino",
            30,
            r" (?:ilegal(?:es)?|peligros[oa]s?|inapropiad[oa]s?|dañin[oa]s?|ofensiv[oa]s?|violencia|discriminatori[oa]s?|ético|éticos) ",
        ),
        sign(
            "pero",
            -75,
            r" (?:pero|sin embargo|no obstante) (?:puedo|aquí|sí|en general|existen?|hay|te puedo|le puedo) ",
        ),
        sign(
            "más",
            -100,
            r" (?:sin (?:más|ver|conocer|saber)|podrías|podría usted|puedes (?:darme|compartir|enviar)|puede (?:darme|compartir|enviar)|por favor (?:comparte|envía|proporciona)) ",
        ),
    ],
};
