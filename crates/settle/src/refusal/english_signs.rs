//! English: what speaks for a refusal, where there is a core: an apology, "this request", harm, a lecture, an offer of
//! something else.

use super::language::{Rule, sign};

/// See the module.
pub(super) const SIGNS: &[Rule] = &[
    // the reply begins with the refusal
    sign("begins", 25, r"^ i {adv}(?:{not}|do not) "),
    // the question is called unfair, generalising, derogatory
    sign(
        "rebuke",
        35,
        concat!(
            r" (?:(?:derogatory|prejudice|prejudiced|unfair|sweeping|demeaning|insulting|insult|insults|mocking) |",
            r"generali|stereotyp|disrespect)",
        ),
    ),
    // I'm sorry, … / Unfortunately, …
    sign(
        "sorry",
        45,
        concat!(
            r"^ (?:[^.]{0,60}\. )?(?:(?:no|oh|hmm|well|um|but|hi|nope) (?:\. )?)?(?:i am (?:so |very |really |",
            r"truly |deeply |terribly )?(?:sorry|afraid)|sorry|my apologies|apologies|i (?:sincerely |do |must )",
            r"?apologi[sz]e|unfortunately|regrettably|i regret) ",
        ),
    ),
    // As an AI language model, …
    sign(
        "ai",
        10,
        concat!(
            r"{1} (?:as an? (?:[a-z-]+ ){0,4}(?:ai|assistant|language model|chatbot)|i am (?:just |only |merely )",
            r"?an? (?:[a-z-]+ ){0,3}(?:ai|assistant|language model|chatbot)) ",
        ),
    )
    .longer(&[(450, -30), (600, -45), (1000, -30)]),
    // a word for harm or for wrong
    sign(
        "bad",
        20,
        concat!(
            r" (?:(?:inappropriate|unethical|illegal|harmful|offensive|dangerous|disrespectful|hateful|derogatory|",
            r"discriminatory|discrimination|violence|violent|malicious|stereotypes|sexual|sexually|sexuali[sz]es|",
            r"explicit|harm|hurt|hurting|hate|abuse|exploitation|criminal|crime|unlawful|dishonest|fraud|hacking|",
            r"endanger|unsafe|racist|self-harm|weapons?|confidential|private|privacy|genocide|racism|sexism|minors|",
            r"threats?|threaten|threatening|drugs|steal|stealing|kill|killing|poison|explosives?|bombs?|scams?|",
            r"malware|pirated|piracy|fake|cheat|cheating|phishing|deceive|deceptive|misinformation|disinformation) ",
            r"|harass|glorif|terroris|extremis|homophob|bully|stalk|counterfeit|copyright|defam)",
        ),
    ),
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
            r"{i}{adv}{not} {adv}(?:{serve}|{act})(?: you)?(?: \w+)?(?: with| in| by| to| as)?(?: \w+ing)? (?:\. |",
            r"(?:this|that|those|these|it|such|so) (?:$|(?:\.|requests?|prompt|question|topic|task|content|",
            r"conversation|discussion|kind|type|sort|one|information|material|behaviou?r|activit(?:y|ies)|actions?|",
            r"and|as|because|since|for|or|in|to|if|but|either|anymore|sorry|due|without|under|given|at) ))",
        ),
    ),
    // I won't help *you* …
    sign(
        "you",
        30,
        concat!(
            r"{i}{adv}{not} {adv}(?:help|helping|assist|assisting|tell|teach|show|walk|give|advise|provide|write|",
            r"support|guide|explain)(?: to)? you ",
        ),
    ),
    // Please refrain from …
    sign(
        "refrain",
        40,
        concat!(
            r" (?:please|let us|kindly) (?:refrain|be respectful|keep|respect|avoid|choose|rephrase|consider|treat|",
            r"use|provide a different|ask a different) ",
        ),
    ),
    // Is there anything else? / Please contact a doctor.
    sign(
        "elsewhere",
        20,
        concat!(
            r" (?:(?:is there (?:anything|something)|something|anything|any) (?:else|other)|other (?:questions|",
            r"topics|requests|tasks|ways)|different (?:question|topic|request)|(?:call|contact|reach out to|talk ",
            r"to|consult|seek) (?:a|an|the|your|with|someone|help|professional|emergency|local)) ",
        ),
    ),
    // I'd be happy to help with something safe instead
    sign(
        "redirect",
        40,
        concat!(
            r" i (?:can|could|would|will|am) (?:be )?(?:happy|glad|help|offer|suggest|provide|here|share|discuss)",
            r"[^.]* (?:instead|alternatives?|other|else|safe|safely|safety|legal|legally|lawful|resources|support|",
            r"ethical|constructive|positive) ",
        ),
    ),
    // It is important to note …
    sign(
        "note",
        45,
        concat!(
            r" it is (?:also |always )?(?:important|essential|crucial|worth|vital|necessary) (?:to )?(?:note|",
            r"noting|remember|recogni[sz]e|understand|acknowledge|consider|emphasi[sz]e)",
        ),
    ),
    // We should always treat …
    sign(
        "moral",
        15,
        concat!(
            r" (?:is|we must|we should|should) (?:also |always |never )?(?:be )?(?:(?:important|essential|crucial|",
            r"necessary|imperative|vital|best) (?:to|that we|for) (?:\w+ )?)?(?:respect|treat|treated|avoid|",
            r"promote|prioriti[sz]e|celebrate|embrace|approach|refrain|be respectful|be kind|follow|uphold|foster|",
            r"accept|respectful|never) ",
        ),
    ),
    // regardless of; dignity
    sign(
        "dignity",
        20,
        concat!(
            r" (?:(?:regardless of|respect and|with respect|dignity|empathy|kindness|compassion|deserve|deserves|",
            r"human rights|all individuals|all people|equality|diversity|diverse) |inclusi)",
        ),
    ),
    // seek help
    sign(
        "resources",
        20,
        concat!(
            r" (?:(?:seek help|seek professional|seek support|seek guidance|mental health|professional|authorities|",
            r"law enforcement|trusted|hotline|helpline|therapist|crisis) |counsel)",
        ),
    ),
    // …, but I can't …
    sign(
        "but_not",
        30,
        concat!(
            r" (?:however|but|unfortunately|still|therefore|so|and) (?:as an? [^.]{0,50} )?(?:unfortunately )?i ",
            r"(?:(?:must|have to|need to|also|simply|really|am afraid i|also) ){0,2}(?:can not|am (?:not|unable)|",
            r"will not|do not|would not|must not|should not|(?:respectfully )?decline|inform you|point out|clarify|",
            r"emphasi[sz]e) ",
        ),
    ),
    // Let's talk about something else.
    sign(
        "topic",
        25,
        concat!(
            r" (?:let us|we (?:can|could)|how about we|happy to|glad to) (?:\w+ )?(?:talk|chat|discuss|focus|",
            r"explore|find|keep|think|move)\w* ",
        ),
    ),
    // I'm sorry, I don't have the ability …
    sign(
        "sorry_no_means",
        35,
        concat!(
            r"^ (?:i am )?(?:so |very |really )?(?:sorry|unfortunately|apologies|i apologi[sz]e)[^.]{0,60} i (?:do ",
            r"not (?:currently )?have|have no|lack|am not (?:capable|programmed|designed|trained)) ",
        ),
    ),
];
