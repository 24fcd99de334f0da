//! English: the rules.
//!
//! Each is a pattern over the text's [words](super::words) with a weight in hundredths; the sum decides. A *core* says by
//! itself that the writer declines; without one no sum is enough. A *sign* speaks for a refusal or, negative, against
//! one. `i` is a word, so `i` is the writer: "you cannot" and "he refused" are no cores.
//!
//! The weights are set by hand and rounded; `docs/refusals.md` says how, and with what figures.

use super::language::{Language, Rule, core, sign};

/// See the module.
pub(super) const ENGLISH: Language = Language { fragments: FRAGMENTS, rules: RULES };

/// What the rules share. One may use those above it.
const FRAGMENTS: &[(&str, &str)] = &[
    // What may stand between.
    (
        "{adv}",
        concat!(
            r"(?:(?:really|simply|just|also|therefore|thus|still|ethically|morally|legally|personally|",
            r"respectfully|politely|unfortunately|regrettably|absolutely|certainly|definitely|directly|",
            r"actually|knowingly|currently|generally|cannot|ever|in good (?:conscience|faith)|as such|and ",
            r"will not|or will not|as an? [a-z -]+) ){0,2}",
        ),
    ),
    // Will not, cannot, may not.
    (
        "{not}",
        concat!(
            r"(?:can not|shall not|can never|could never|must not|will never|would never|will not(?: be(?: ",
            r"able to)?)?|am not (?:able|allowed|permitted|authori[sz]ed|supposed|going|willing|prepared|",
            r"programmed|designed|trained|built|meant|intended|equipped|capable|at liberty|in a position|",
            r"comfortable)(?: to| of| with)?|(?:am|be) (?:unable|unwilling|prohibited|forbidden|restricted|",
            r"barred|prevented|incapable)(?: to| from| of)?|do not (?:feel|think i would feel) (?:comfortable|",
            r"right|able)(?: to| with)?|would rather not|would prefer not to|prefer not to|(?:must |have to |",
            r"need to |will have to )?(?:refuse|decline) to|have no intention (?:of|to)|do not (?:want|wish|",
            r"intend) to|do not think (?:that )?i (?:should|can|could)|do not think (?:that )?(?:it is|it ",
            r"would be|that is) (?:right|appropriate|okay|ok|wise|ethical|a good idea)(?: for me)? to)",
        ),
    ),
    // To do what one was asked; little else is meant by these words.
    (
        "{serve}",
        concat!(
            r"(?:help|helping|assist|assisting|aid|fulfill?|fulfilling|comply|complying|satisfy|generate|",
            r"generating|create|creating|produce|producing|answer|answering|respond|responding|discuss|",
            r"discussing|engage|engaging|participate|participating|take part|provide|providing|offer|share|",
            r"sharing|supply|facilitate|entertain|condone|promote|promoting|encourage|endorse|endorsing|",
            r"advocate|glorify|contribute|disclose|reveal|divulge|roleplay|role-play|impersonate|perpetuate|",
            r"support|teach|instruct|guide|accommodate|be part|be involved)",
        ),
    ),
    // The same, but these words mean much else too.
    (
        "{act}",
        concat!(
            r"(?:write|writing|compose|draft|craft|give|giving|do|doing|perform|carry|continue|proceed|tell|",
            r"explain|describe|walk|show|advise|advising|recommend|suggest|pretend|simulate|depict|complete|",
            r"list|make|making|joke|act|mock|criticize|insult|plan|process|diagnose)",
        ),
    ),
    // To take a view.
    (
        "{opine}",
        concat!(
            r"(?:speculate|speculating|generali[sz]e|generali[sz]ing|comment|judge|judging|speak (?:for|on|to|",
            r"about)|(?:take|choose|pick) sides?|take a (?:stance|position)|express|form|hold|determine|",
            r"assume|assuming|assert|affirm|confirm|claim|predict)",
        ),
    ),
    // Harm, or wrong.
    (
        "{bad}",
        concat!(
            r"(?:inappropriate|unethical|illegal|harmful|offensive|dangerous|disrespectful|hateful|derogatory|",
            r"discriminatory|discrimination|violence|violent|malicious|stereotypes|sexual|sexually|",
            r"sexuali[sz]es|explicit|harm|hurt|hurting|hate|abuse|exploitation|criminal|crime|unlawful|",
            r"dishonest|fraud|hacking|endanger|unsafe|racist|self-harm|weapons?|confidential|private|privacy|",
            r"threats?|threaten|threatening|drugs|steal|stealing|kill|killing|poison|explosives?|bombs?|",
            r"scams?|malware|pirated|piracy|fake|cheat|cheating|phishing|defam\w*|deceive|deceptive|",
            r"misinformation|disinformation)",
        ),
    ),
    // Within the first sentence.
    ("{s1}", r"^ (?:[^.]* )??"),
    // Within the first two.
    ("{s2}", r"^ (?:[^.]* )??(?:\. (?:[^.]* )??)?"),
    // Within the first three.
    ("{s3}", r"^ (?:[^.]* )??(?:\. (?:[^.]* )??){0,2}"),
];

const RULES: &[Rule] = &[
    // I can't help with that.
    core("cannot_serve", 100, r"{s3}i {adv}{not} {adv}{serve} "),
    // I won't write malware.
    core("cannot_act", 75, r"{s3}i {adv}{not} {adv}{act} "),
    // I cannot speculate on her motives.
    core("cannot_opine", 75, r"{s2}i {adv}{not} {adv}{opine} "),
    // I must decline.
    core(
        "decline",
        100,
        concat!(
            r"{s3}i (?:would |will |am going to |must |have to |need to |am |should |shall ){0,2}(?:have to ",
            r")?(?:respectfully |politely |firmly |also )?(?:decline|refuse|declining|refusing|pass on|say no ",
            r"to (?:this|that))(?: \.| this| that| your| and| but| any| here| to| such|$)",
        ),
    ),
    // Can't help with that.
    core(
        "bare",
        100,
        concat!(
            r"^ (?:(?:no|nope|sorry|but|apologies|i am sorry|well|hmm|unfortunately) (?:\. )?)*(?:can not|can ",
            r"no|unable to|will not|not able to|not going to) (?:{serve}|{act}) (?:with |to )?(?:that|this|it|",
            r"your|you|such|those)",
        ),
    ),
    // That's not something I can do.
    core(
        "not_a_thing",
        100,
        concat!(
            r"{s3}(?:not|never) (?:something|anything|a \w+|one|an? (?:request|topic|task|area|subject)) ",
            r"(?:that |which )?i (?:can|will|would|am|want|could|do) ",
        ),
    ),
    // That's something I won't do.
    core(
        "thing_not",
        100,
        concat!(
            r"{s2}(?:something|a line|a request|content|a topic|an area) (?:that |which )?i (?:can not|will ",
            r"not|am not|do not|would not|refuse)",
        ),
    ),
    // It would be wrong for me to say.
    core(
        "not_for_me",
        100,
        concat!(
            r"{s3}(?:not|be|is|in|un)(?: be)? ?(?:inappropriate|appropriate|right|wrong|ethical|unethical|",
            r"proper|acceptable|irresponsible|responsible|fair|comfortable)(?: or \w+)* (?:for|of) me to ",
        ),
    ),
    // It's not within my guidelines.
    core(
        "not_within",
        100,
        r"{s2}(?:it|that|this) is (?:not (?:with)?in|beyond|outside(?: of)?|against) (?:the scope of )?my ",
    ),
    // This request is inappropriate.
    core(
        "asked_is_bad",
        100,
        concat!(
            r"{s2}(?:this|that|your|the) (?:\w+ )?(?:request|prompt|question|topic|query|content)s? (?:is|are|",
            r"goes|appears|seems|contains|promotes|involves|asks)(?: to be| for| me to)? (?:(?:not|very|",
            r"highly|both|extremely|deeply) )?(?:{bad}|appropriate|against|something i)",
        ),
    ),
    // I don't provide such instructions.
    core(
        "i_do_not",
        75,
        concat!(
            r"{s3}i (?:\w+ )?do not (?:engage|promote|support|condone|endorse|provide|create|generate|produce|",
            r"write|encourage|assist|help|participate|facilitate|tolerate|offer) ",
        ),
    ),
    // It goes against my guidelines.
    core(
        "my_rules",
        80,
        concat!(
            r"{s3}(?:against|violates?|violating|by|within|with|breach(?:es)?|conflicts? with|contrary to) ",
            r"(?:my|our|openai|openai's|the (?:content|usage|safety|community|ethical)) (?:\w+ ",
            r"){0,3}(?:programming|guidelines?|policy|policies|principles?|values|guardrails|standards|terms|",
            r"rules|code|ethics|mission)",
        ),
    ),
    // My guidelines prevent me from it.
    core(
        "prevent_me",
        100,
        concat!(
            r"{s2}(?:prevents?|prohibits?|forbids?|stops?|keeps?|bars?|does not allow|do not allow|does not ",
            r"permit|do not permit) (?:me|us) (?:from|to) ",
        ),
    ),
    // I'm not comfortable with this.
    core("uncomfortable", 90, r"{s2}i (?:am not|do not feel|would not feel|am un) ?comfortable (?:with|\.|about) "),
    // I strongly advise against it.
    core(
        "advise_not",
        45,
        concat!(
            r"{s2}i (?:would |must )?(?:strongly )?(?:advise|urge|discourage|recommend) (?:you )?(?:against|",
            r"not to) ",
        ),
    ),
    // I need to stop here.
    core(
        "stop_here",
        50,
        r"{s2}i (?:need|have|am going|must|want) (?:to )?(?:stop|draw a line|pause) (?:here|there|this)",
    ),
    // I must remain neutral.
    core(
        "neutral",
        40,
        concat!(
            r"{s2}(?:i|and) (?:\w+ )?(?:must|should|have to|need to|strive to|am (?:programmed|designed|",
            r"required) to)? ?(?:remain|stay|maintain|adhere|be) (?:to )?(?:a )?(?:neutral|impartial|unbiased|",
            r"neutrality|impartiality|respectful|objective)",
        ),
    ),
    // It is not appropriate to promote this.
    core(
        "not_proper",
        60,
        concat!(
            r"{s2}(?:it|that|this) (?:is|would be) (?:(?:not |in)(?:appropriate|acceptable|right|ethical)|",
            r"unethical|not my place|not fair) (?:or \w+ )?(?:for [^.]{1,30} )?to (?:{serve}|{act}|{opine}) ",
        ),
    ),
    // I'm sorry, but as an AI …
    core(
        "sorry_ai",
        60,
        concat!(
            r"^ (?:i am )?(?:so |very |really )?(?:sorry|unfortunately|apologies|i apologi[sz]e) (?:but )?as ",
            r"an? (?:[a-z-]+ ){0,4}(?:ai|assistant|language model) ",
        ),
    ),
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
            r"{s1}(?:as an? (?:[a-z-]+ ){0,4}(?:ai|assistant|language model|chatbot)|i am (?:just |only |",
            r"merely )?an? (?:[a-z-]+ ){0,3}(?:ai|assistant|language model|chatbot)) ",
        ),
    ),
    // a word for harm or for wrong
    sign("bad", 30, r" {bad} "),
    // this request / your prompt
    sign(
        "request",
        45,
        r"{s3}(?:this|that|your|such an?) (?:\w+ )?(?:request|prompt|task|instruction|kind|type|sort)s? ",
    ),
    // I can't do *that*.
    sign(
        "deixis",
        45,
        concat!(
            r"{s3}i {adv}{not} {adv}(?:{serve}|{act})(?: you)?(?: \w+)?(?: with| in| by| to| as)?(?: \w+ing)? ",
            r"(?:this|that|those|it|such|so|\.)(?: |$)",
        ),
    ),
    // I won't help *you* …
    sign(
        "you",
        35,
        concat!(
            r"{s3}i {adv}{not} {adv}(?:help|helping|assist|assisting|tell|teach|show|walk|give|advise|provide|",
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
            r"{s1}(?:personal (?:\w+ ){0,2}(?:opinions?|beliefs?|views?|feelings|preferences|experiences?|",
            r"thoughts|advice)|opinions?|definitive|(?:medical|legal|financial) advice|feelings|emotions|",
            r"beliefs|the future|certainty) ",
        ),
    ),
    // I'm sorry to hear that; sorry for the confusion
    sign(
        "sympathy",
        -90,
        concat!(
            r"{s1}(?:sorry|apologi[sz]e|apologies) (?:to hear|for (?:your|the|my|any)|about (?:that|the|your)|",
            r"if|everyone|guys|you are right|i (?:do not understand|misread|misunderstood)) ",
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
            r" i (?:\w+ )?(?:(?:can|could|may) not(?: be able to)?|(?:am|was) (?:unable|not able) to|do not ",
            r"have(?: the)?(?: ability to| access| capability to)?) (?:\w+ )?(?:access|open|view|see|hear|",
            r"browse|recall|remember|find|locate|read|search|check|look up|real-time|physically|feel|taste|",
            r"reproduce|replicate|run|verify|identify) ",
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
    sign("about_fault", -100, r" i can not (?:\w+ )?(?:be|log|come|attend|find|have|guarantee|use) "),
];
