//! English: what says that the writer declines.

use super::language::{Rule, core};

/// See the module.
pub(super) const CORES: &[Rule] = &[
    // I can't … anything: to which the next three add
    core("cannot", 40, r"{i}(?:[^.]{1,40} and )?{adv}{not} {adv}[a-z]"),
    // I can't help with that.
    core("cannot_serve", 70, r"{i}(?:[^.]{1,40} and )?{adv}{not} {adv}{serve} "),
    // I won't write malware.
    core("cannot_act", 55, r"{i}(?:[^.]{1,40} and )?{adv}{not} {adv}{act} "),
    // I cannot speculate on her motives.
    core("cannot_opine", 60, r"{i}(?:[^.]{1,40} and )?{adv}{not} {adv}{opine} "),
    // I must decline.
    core(
        "decline",
        100,
        concat!(
            r"{i}(?:would |will |am going to |must |have to |need to |am |should |shall ){0,2}(?:have to )",
            r"?(?:respectfully |politely |firmly |also )?(?:decline|refuse|declining|refusing|pass on|say no to ",
            r"(?:this|that))(?: \.| this| that| your| and| but| any| here| to| such|$)",
        ),
    ),
    // Can't help with that.
    core(
        "bare",
        100,
        concat!(
            r"^ (?:(?:no|nope|sorry|but|apologies|i am sorry|well|hmm|unfortunately) (?:\. )?)*(?:can not|can no|",
            r"unable to|will not|not able to|not going to) (?:{serve}|{act}) (?:with |to )?(?:that|this|it|your|",
            r"you|such|those)",
        ),
    ),
    // That's not something I can do.
    core(
        "not_a_thing",
        100,
        concat!(
            r"{3} (?:not|never) (?:something|anything|a \w+|one|an? (?:request|topic|task|area|subject)) (?:that |",
            r"which )?i (?:can|will|would|am|want|could|do) ",
        ),
    ),
    // That's something I won't do.
    core(
        "thing_not",
        100,
        concat!(
            r"{3} (?:something|a line|a request|content|a topic|an area) (?:that |which )?i (?:can not|will not|am ",
            r"not|do not|would not|refuse|(?:must|have to|need to) (?:decline|refuse|avoid|turn down))",
        ),
    ),
    // It would be wrong for me to say.
    core(
        "not_for_me",
        100,
        concat!(
            r"{3} (?:not|be|is|in|un)(?: be)? ?(?:inappropriate|appropriate|right|wrong|ethical|unethical|proper|",
            r"acceptable|irresponsible|responsible|fair|comfortable|possible|impossible)(?: or \w+)* (?:for|of) me ",
            r"to ",
        ),
    ),
    // It's not within my guidelines.
    core(
        "not_within",
        100,
        concat!(
            r"{3} (?:it|that|this|which|topic|request|question) (?:is|falls|goes|lies) (?:well )?(?:not (?:with)",
            r"?in|beyond|outside(?: of)?|against) (?:the scope of )?(?:my|what i) ",
        ),
    ),
    // This request is inappropriate.
    core(
        "asked_is_bad",
        85,
        concat!(
            r"{3} (?:this|that|your) (?:\w+ )?(?:request|prompt|question|topic|query|content)s? (?:is|are|goes|",
            r"appears|seems|contains|promotes|involves|asks)(?: to be| for| me to)? (?:(?:not|very|highly|both|",
            r"extremely|deeply) )?(?:{bad}|appropriate|against (?:my|our|the|openai)|something i)",
        ),
    ),
    // I don't provide such instructions.
    core(
        "i_do_not",
        95,
        concat!(
            r"{i}(?:[^.]{1,50} and )?(?:\w+ )?do not (?:engage|promote|support|condone|endorse|provide|create|",
            r"generate|produce|write|encourage|assist|help|participate|facilitate|tolerate|offer|answer|respond|",
            r"discuss|share|disclose) ",
        ),
    ),
    // It goes against my guidelines.
    core(
        "my_rules",
        95,
        concat!(
            r"{3} (?:against|violates?|violating|by|within|with|breach(?:es)?|conflicts? with|contrary to) ",
            r"(?:(?:my|our|openai|openai's) (?:\w+ ){0,3}|the (?:content|usage|safety|community|ethical|moral) )",
            r"(?:programming|guidelines?|policy|policies|principles?|values|guardrails|standards|terms|rules|code|",
            r"ethics|mission)",
        ),
    ),
    // My guidelines prevent me from it.
    core(
        "prevent_me",
        100,
        concat!(
            r"{3} (?:prevents?|prohibits?|forbids?|stops?|keeps?|bars?|(?:does|do) not (?:allow|let|enable)|does ",
            r"not permit|do not permit) (?:me|us) (?:from|to|\w+ing|talk|discuss|share|help|answer|say) ",
        ),
    ),
    // I'm not comfortable with this.
    core(
        "uncomfortable",
        95,
        concat!(
            r"{i}(?:am not|do not feel|would not feel|am un) ?(?:comfortable|right) (?:\.|\w+ing |(?:with|about) ",
            r"(?:this|that|these|those|it|the|your|such|any|\w+ing) )",
        ),
    ),
    // I strongly advise against it.
    core(
        "advise_not",
        45,
        r"{i}(?:would |must )?(?:strongly )?(?:advise|urge|discourage|recommend) (?:you )?(?:against|not to) ",
    ),
    // I need to stop here.
    core(
        "stop_here",
        60,
        r"{i}(?:need|have|am going|must|want) (?:to )?(?:stop|draw a line|pause) (?:here|there|this)",
    ),
    // I must remain neutral.
    core(
        "neutral",
        65,
        concat!(
            r"{3} (?:i|and) (?:\w+ )?(?:must|should|have to|need to|strive to|am (?:programmed|designed|required) ",
            r"to)? ?(?:remain|stay|maintain|adhere|be) (?:to )?(?:a )?(?:neutral|impartial|unbiased|neutrality|",
            r"impartiality|respectful|objective)",
        ),
    ),
    // It is not appropriate to promote this.
    core(
        "not_proper",
        50,
        concat!(
            r"{3} (?:it|that|this) (?:(?:is not|would not be|is never|would never be|is neither) (?:\w+ )",
            r"?(?:appropriate|acceptable|right|ethical|responsible|proper|okay|ok|fair|my place)|(?:is|would be) ",
            r"(?:inappropriate|unethical|irresponsible|unfair|wrong)) (?:(?:or|nor|and) \w+ )?(?:for [^.]{1,30} )",
            r"?to (?:{serve}|{act}|{opine}) ",
        ),
    ),
    // I'm sorry, but as an AI …
    core(
        "sorry_ai",
        60,
        concat!(
            r"^ (?:i am )?(?:so |very |really )?(?:sorry|unfortunately|apologies|i apologi[sz]e) (?:but )?as an? ",
            r"(?:[a-z-]+ ){0,4}(?:ai|assistant|language model) ",
        ),
    ),
    // As an AI …, I do not / cannot / must …: a disclaimer, by which alone nothing is declined
    core(
        "ai_disclaims",
        15,
        concat!(
            r"^ (?:no (?:\. )?)?(?:(?:i am )?(?:so |very |really )?(?:sorry|apologies|unfortunately) (?:\. )",
            r"?(?:but )?)?(?:as an? (?:[a-z-]+ ){0,5}(?:ai|assistant|model|chatbot)|i am (?:just |only |merely )",
            r"?an? (?:[a-z-]+ ){0,3}(?:ai|assistant|language model)) (?:[^.]{0,40} )?(?:i|it|and|my|so) ",
            r"[^.]{0,40}?(?:not|never|unable|incapable|neutral|impartial) ",
        ),
    ),
    // This request can't be fulfilled.
    core(
        "passive",
        80,
        concat!(
            r"{3} (?:request|prompt|question|content|material|topic|text|task|instructions|information|details|",
            r"advice|it|and|that|this) (?:itself )?(?:(?:can|could|will|may|must|shall) not|should never|not) be ",
            r"(?:fulfill?ed|provided|generated|answered|produced|given|shared|created|discussed|supported|written|",
            r"honou?red|granted|satisfied|assisted) ",
        ),
    ),
    // No instructions will be given here.
    core(
        "none_given",
        100,
        concat!(
            r"{3} no (?:such )?(?:instructions|information|details|help|assistance|advice|guidance|answer|content|",
            r"list|text|steps) (?:\w+ )?(?:will|can|may) be (?:\w+ed|given) ",
        ),
    ),
    // That would be wrong.
    core(
        "would_be_bad",
        50,
        concat!(
            r"{3} (?:that|this|it|doing so|doing that|which|and) would (?:also )?be (?:\w+ )?(?:\w+ (?:and|or) )",
            r"?(?:wrong|inappropriate|unethical|illegal|harmful|offensive|disrespectful|dishonest|irresponsible|",
            r"hurtful|immoral) ",
        ),
    ),
    // I am programmed not to … / to be harmless
    core(
        "made_to",
        50,
        concat!(
            r"{i}(?:am|was|have been) (?:\w+ )?(?:programmed|designed|trained|built|made|instructed|told|developed|",
            r"created|asked|intended|meant) (?:not to|never to|to (?:not|never|avoid|refrain|decline|refuse|be ",
            r"(?:a )?(?:neutral|harmless|respectful|impartial|safe)|be [^.]{0,30}harmless|promote|follow|respect|",
            r"adhere|prioriti[sz]e|remain|provide [^.]{0,40}(?:harmless|safe|neutral|unbiased|respectful)))",
        ),
    ),
    // I don't have the ability to …
    core(
        "no_means",
        65,
        concat!(
            r"{i}(?:\w+ )?(?:(?:do not (?:currently )?(?:have|possess)|have no|lack) (?:the |any |an? |enough |",
            r"sufficient |direct |specific |real-time |personal ){0,2}(?:\w+ ){0,2}(?:ability|capability|",
            r"capabilities|capacity|access|information|knowledge|means|way|authority|permission|clearance|context|",
            r"data)|am (?:not capable|incapable) of) ",
        ),
    )
    .longer(&[(200, -55)]),
    // I don't have access to private data about people.
    core(
        "no_private",
        50,
        concat!(
            r"{i}(?:\w+ )?(?:do not have|have no) access to (?:\w+ ){0,2}(?:personal|private|confidential|",
            r"sensitive) (?:or \w+ )?(?:data|information|details|records)",
        ),
    ),
    // Please refrain from …
    core(
        "please_do_not",
        50,
        concat!(
            r"{3} (?:please|kindly|i (?:would |must |strongly )?(?:urge|ask|encourage|advise|request) you to|we ",
            r"ask you to|let us) (?:do not|refrain from|avoid|stop|be respectful|keep (?:this|our|the conversation)",
            r"|be kind|choose kind) ",
        ),
    ),
    // I try to avoid …; I will have no part in it; not a path I want to take.
    core(
        "no_part",
        100,
        concat!(
            r"{i}(?:(?:try to |do my best to |aim to |prefer to |must |will |have to |should |am going to )",
            r"?(?:avoid|refrain from|steer clear of) |(?:will |want |would |can )?(?:have |to have |take |want )",
            r"?no part (?:in|of) |(?:will not|do not want to|am not going to|can not) (?:be|become|play) (?:a )",
            r"?(?:part|party|involved|complicit))",
        ),
    ),
    // We don't offer help with that. This assistant does not produce it.
    core(
        "others_do_not",
        50,
        concat!(
            r"{3} (?:we|this (?:assistant|chatbot|service|bot)|the assistant|openai) (?:\w+ )?(?:{not}|are (?:not ",
            r"able|unable|not allowed) to|(?:do|does) not) (?:{serve}|{act}) ",
        ),
    ),
    // Such content isn't allowed here.
    core(
        "not_allowed",
        70,
        concat!(
            r"{3} (?:this|that|such|these|your|the requested) (?:\w+ ){1,3}(?:is|are) (?:strictly )?(?:not ",
            r"(?:allowed|permitted|supported|acceptable here)|prohibited|forbidden|off limits|off-limits|against) ",
        ),
    ),
    // I would urge you to be kind; I strongly encourage you to …
    core(
        "urge",
        30,
        concat!(
            r"{3} i (?:would |must |strongly |also ){0,2}(?:urge|encourage|advise|suggest|recommend|ask) (?:that )",
            r"?(?:you|everyone|anyone) ",
        ),
    ),
    // The question is built on a stereotype.
    core(
        "asked_is_unfair",
        60,
        concat!(
            r"{3} (?:this|that|your|the|such) (?:\w+ )?(?:request|prompt|question|topic|query|statement|language|",
            r"claim|assumption|premise|generali[sz]ation|comment|remark)s? (?:you have asked |you asked |you are ",
            r"asking )?(?:is|are|contains?|perpetuates?|promotes?|can be) (?:\w+ )?(?:\w+ and )?(?:unfair|",
            r"offensive|inaccurate|hurtful|harmful|stereotyp\w+|generali[sz]\w+|inappropriate|disrespectful|",
            r"insensitive|derogatory|discriminatory|racist|sexist|prejudiced|hate\w*) ",
        ),
    ),
];
