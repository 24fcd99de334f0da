//! English: what speaks for a refusal or, with a negative weight, against one, where there is a core.
//!
//! Against one speak above all a turn to an answer ("…, but here is", "However, …" after the disclaimer of an AI), idioms
//! of negation ("I can't wait"), a limit of the senses ("I can't see the image"), a question back, and talk of what
//! someone else said.

use super::language::{Rule, sign};

/// See the module.
pub(super) const SIGNS: &[Rule] = &[
    // the reply begins with the refusal
    sign("begins", 30, r"^ i {adv}(?:{not}|do not) "),
    // the question is called unfair, generalising, derogatory
    sign(
        "rebuke",
        30,
        concat!(
            r" (?:generali[sz]\w*|stereotyp\w*|derogatory|prejudiced?|unfair|sweeping|dignity|demeaning|",
            r"insulting|insults?|mocking|disrespect\w*) ",
        ),
    ),
    // I'm sorry, … / Unfortunately, …
    sign(
        "sorry",
        45,
        concat!(
            r"^ (?:[^.]{0,60}\. )?(?:(?:no|oh|hmm|well|um|but|hi|nope) (?:\. )?)?(?:i am (?:so |very |really |",
            r"truly |deeply |terribly )?(?:sorry|afraid)|sorry|my apologies|apologies|i (?:sincerely |do |",
            r"must )?apologi[sz]e|unfortunately|regrettably|i regret) ",
        ),
    ),
    // As an AI language model, …
    sign(
        "ai",
        30,
        concat!(
            r"{1} (?:as an? (?:[a-z-]+ ){0,4}(?:ai|assistant|language model|chatbot)|i am (?:just |only |",
            r"merely )?an? (?:[a-z-]+ ){0,3}(?:ai|assistant|language model|chatbot)) ",
        ),
    ),
    // a word for harm or for wrong
    sign("bad", 30, r" {bad} "),
    // this request / your prompt
    sign(
        "request",
        45,
        r"{3} (?:this|that|your|such an?) (?:\w+ )?(?:request|prompt|task|instruction|kind|type|sort)s? ",
    ),
    // I can't do *that*.
    sign(
        "deixis",
        45,
        concat!(
            r"{i}{adv}{not} {adv}(?:{serve}|{act})(?: you)?(?: \w+)?(?: with| in| by| to| as)?(?: \w+ing)? ",
            r"(?:\. |(?:this|that|those|these|it|such|so) (?:$|(?:\.|requests?|prompt|question|topic|task|",
            r"content|conversation|discussion|kind|type|sort|one|information|material|behaviou?r|activit(?:y|",
            r"ies)|actions?|and|as|because|since|for|or|in|to|if|but|either|anymore|sorry|due|without|under|",
            r"given|at) ))",
        ),
    ),
    // I won't help *you* …
    sign(
        "you",
        35,
        concat!(
            r"{i}{adv}{not} {adv}(?:help|helping|assist|assisting|tell|teach|show|walk|give|advise|provide|",
            r"write|support|guide|explain)(?: to)? you ",
        ),
    ),
    // Please refrain from …
    sign(
        "refrain",
        40,
        concat!(
            r" (?:please|let us|kindly) (?:refrain|be respectful|keep|respect|avoid|choose|rephrase|consider|",
            r"treat|use|provide a different|ask a different) ",
        ),
    ),
    // It is important to …
    sign(
        "lecture",
        20,
        concat!(
            r" (?:it is|we must|we should) (?:also )?(?:important|essential|crucial|imperative|vital|",
            r"necessary|best|recommended|inappropriate|always) (?:to|that)? ",
        ),
    ),
    // Is there anything else? / Please contact a doctor.
    sign(
        "elsewhere",
        35,
        concat!(
            r" (?:(?:is there (?:anything|something)|something|anything|any) (?:else|other)|other ",
            r"(?:questions|topics|requests|tasks|ways)|different (?:question|topic|request)|(?:call|contact|",
            r"reach out to|talk to|consult|seek) (?:a|an|the|your|with|someone|help|professional|emergency|",
            r"local)) ",
        ),
    ),
    // …, but I can explain …
    sign(
        "pivot_i",
        -75,
        concat!(
            r" (?:however|but|nevertheless|nonetheless|that said|still|yet|instead|so)(?: as [^.]{0,40}?)? ",
            r"(?:to answer your \w+ )?i (?:can|could|will|may|would|\w+)(?: be happy to| be glad to| like ",
            r"to)? ?(?:still |also |certainly |definitely |try to )?(?:provide|offer|give|explain|share|tell|",
            r"say|answer|assure|describe|present|suggest|assume|write|generate|show|outline|think|attempt|",
            r"understand)",
        ),
    ),
    // …, but here are …
    sign(
        "pivot_fact",
        -65,
        concat!(
            r" (?:but|though|although) (?:(?:here|there) (?:is|are|have)|in general|generally|to answer|based|",
            r"some|the|it|if|you|many|most|common|people|theoretically|for|when|from|most|analysts|he|she|",
            r"they|a|an) ",
        ),
    ),
    // I can't …, but …
    sign("but_after", -30, r"{i}{adv}{not} [^.]* (?:but|though|although) "),
    // However, …
    sign("however", -45, r" (?:however|nevertheless|nonetheless|that said|that being said) "),
    // As an AI I cannot …; however, …: a disclaimer before an answer
    sign(
        "disclaimer",
        -45,
        concat!(
            r"^ (?:no |yes )?as an? (?:[^.]{0,30} )?(?:ai|assistant|language model) [^.]*(?:\. (?:[^.]*\. ",
            r")?)?(?:however|but|nevertheless|that said) ",
        ),
    ),
    // Here are some ways …
    sign(
        "list",
        -50,
        concat!(
            r" (?:here (?:are|is) (?:some|a|the|my|one|what|how|your|\w+ (?:ways|steps|tips))|1 (?:\. ",
            r")?[a-z]+|following steps|you can) ",
        ),
    ),
    // an opinion, a feeling, the future, advice of a profession
    sign(
        "opinion",
        -45,
        concat!(
            r"{1} (?:personal (?:\w+ ){0,2}(?:opinions?|beliefs?|views?|feelings|preferences|experiences?|",
            r"thoughts|advice)|opinions?|definitive|exact|precise|comprehensive|exhaustive|(?:medical|legal|",
            r"financial) advice|feelings|emotions|beliefs|the future|certainty) ",
        ),
    ),
    // I'm sorry to hear that; sorry for the confusion
    sign(
        "sympathy",
        -90,
        concat!(
            r"{1} (?:sorry|apologi[sz]e|apologies) (?:to hear|for (?:your|the|my)|about (?:that|the|your)|if|",
            r"everyone|guys|you are right|i (?:do not understand|misread|misunderstood)) ",
        ),
    ),
    // I can't wait; I couldn't help but; I can't tell which
    sign(
        "idiom",
        -200,
        concat!(
            r"i (?:\w+ )?(?:can|could|will) not (?:\w+ )?(?:stress|emphasi[sz]e|overstate|wait|thank|imagine|",
            r"believe|agree more|praise|help (?:but|noticing|thinking|feeling|wondering|laughing|smiling|it)|",
            r"tell (?:you how (?:happy|much|glad|proud|sorry|many|long|good)|a lie|which|whether|if|what|the)|",
            r"explain how (?:happy|much)|say (?:for|enough|with|whether|which|if|that)|do better|make (?:up ",
            r"my|it|sense|out)|lie|do without|go (?:wrong|into|back)|give up|promise|think of) ",
        ),
    ),
    // I can't recommend it enough.
    sign("enough", -160, r" i can not [^.]{0,60} (?:enough|highly) "),
    // I can't see the image: a limit, no refusal
    sign(
        "limits",
        -70,
        concat!(
            r" i (?:\w+ )?(?:(?:can|could|may) not(?: be able to)?|(?:am|was) (?:unable|not able) to) (?:\w+ ",
            r")?(?:access|open|view|see|hear|browse|recall|remember|find|locate|read|search|check|look up|",
            r"physically|feel|taste|know|run|verify) | i (?:\w+ )?(?:do not have|have no) (?:\w+ ",
            r"){0,2}(?:access|ability|capability|information|knowledge|data|record) ",
        ),
    ),
    // Could you share the log? / without more details
    sign(
        "need_more",
        -100,
        concat!(
            r" (?:without (?:more|further|additional|the|a|seeing|knowing)|(?:could|can) you (?:please |also |",
            r"kindly )?(?:provide|share|clarify|specify|tell|paste|give|confirm|upload)|more (?:information|",
            r"context|details)|please (?:provide|share|paste|upload|clarify|specify|give)(?: me)? (?:the|your|",
            r"their|more|a)|do not understand|did you mean) ",
        ),
    ),
    // I can't give you a hug.
    sign("physical", -70, r" (?:hug|sandwich|coffee|physical\w*|in person|body|phone call|tastes?|dishes|hands) "),
    // Sure! / Here is … / Once upon a time / Dear …
    sign(
        "yes",
        -100,
        concat!(
            r"^ (?:sure|certainly|of course|absolutely|yes|here (?:is|are)|great|definitely|once upon|dear|",
            r"subject|step|first|to [a-z]+ (?:a|an|the|your)|when|if|never say|1) ",
        ),
    ),
    // I'd be happy to help with something safe instead
    sign(
        "redirect",
        40,
        concat!(
            r" i (?:can|could|would|will|am) (?:be )?(?:happy|glad|help|offer|suggest|provide|here|share|",
            r"discuss)[^.]* (?:instead|alternatives?|other|else|safe|safely|safety|legal|legally|lawful|",
            r"resources|support|ethical|constructive|positive) ",
        ),
    ),
    // the text speaks of what someone says
    sign("quoted", -200, r#"^ (?:["\{\[<|=]|[^.]* (?:say|reply|phrase|said|says|decline|translates?|wrote)[^."]* ")"#),
    // I cannot log in.
    sign(
        "about_fault",
        -100,
        concat!(
            r" i can not (?:\w+ )?(?:be (?:both|sure|certain|seen|answered)|log|come|attend|find|have|",
            r"guarantee|use) ",
        ),
    ),
];
