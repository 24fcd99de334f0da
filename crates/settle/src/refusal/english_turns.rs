//! English: what speaks against a refusal, where there is a core.
//!
//! Above all a turn to an answer ("…, but here is", "However, …" after the disclaimer of an AI) and length; then
//! idioms of negation ("I can't wait"), a limit of the senses ("I can't see the image"), a question back, and talk of
//! what someone else said.

use super::language::{Rule, sign};

/// See the module.
pub(super) const TURNS: &[Rule] = &[
    // …, but I can explain …
    sign(
        "pivot_i",
        -80,
        concat!(
            r" (?:however|but|nevertheless|nonetheless|that said|still|yet|instead|so)(?: as [^.]{0,40}?)? (?:to ",
            r"answer your \w+ )?i (?:can|could|will|may|would|\w+)(?: be happy to| be glad to| like to)? ?(?:still ",
            r"|also |certainly |definitely |try to )?(?:provide|offer|give|explain|share|tell|say|answer|assure|",
            r"describe|present|suggest|assume|write|generate|show|outline|think|attempt|understand)",
        ),
    ),
    // …, but here are …
    sign(
        "pivot_fact",
        -50,
        concat!(
            r" (?:but|though|although) (?:(?:here|there) (?:is|are|have)|in general|generally|to answer|based|some|",
            r"the|it|if|you|many|most|in|one|typically|usually|often|historically|common|people|theoretically|for|",
            r"when|from|most|analysts|he|she|they|a|an) ",
        ),
    ),
    // I can't …, but …
    sign("but_after", -20, r"{i}{adv}{not} [^.]* (?:but|though|although) "),
    // However, …
    sign("however", -60, r" (?:however|nevertheless|nonetheless|that said|that being said) "),
    // As an AI I cannot …; however, …: a disclaimer before an answer
    sign(
        "disclaimer",
        -25,
        concat!(
            r"^ (?:no |yes )?as an? (?:[^.]{0,30} )?(?:ai|assistant|language model) [^.]*(?:\. (?:[^.]*\. )?)",
            r"?(?:however|but|nevertheless|that said) ",
        ),
    ),
    // Here are some ways …
    sign(
        "list",
        -45,
        concat!(
            r" (?:here (?:are|is) (?:some|a|the|my|one|what|how|your|[a-z]+ (?:ways|steps|tips))|following steps|",
            r"you can) ",
        ),
    ),
    // an opinion, a feeling, the future, advice of a profession
    sign(
        "opinion",
        -25,
        concat!(
            r"{1} (?:personal (?:\w+ ){0,2}(?:opinions?|beliefs?|views?|feelings|preferences|experiences?|thoughts|",
            r"advice)|opinions?|definitive|exact|precise|comprehensive|exhaustive|(?:medical|legal|financial) ",
            r"advice|feelings|emotions|beliefs|the future|certainty) ",
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
            r"i (?:\w+ )?(?:(?:can|could|will) not|refuse to) (?:\w+ )?(?:stress|emphasi[sz]e|overstate|wait|thank|",
            r"imagine|believe|agree more|praise|help (?:but|noticing|thinking|feeling|wondering|laughing|smiling|",
            r"it)|tell (?:you how (?:happy|much|glad|proud|sorry|many|long|good)|a lie|which|whether|if|what|the)|",
            r"explain how (?:happy|much)|say (?:for|enough|with|whether|which|if|that)|do better|pretend (?:this|",
            r"that|it)|make (?:up my|it|sense|out)|lie|do without|go (?:wrong|into|back)|give up|promise|think of) ",
        ),
    ),
    // I can't recommend it enough.
    sign("enough", -160, r" i can not [^.]{0,60} (?:enough|highly) "),
    // I can't see the image: a limit, no refusal
    sign(
        "limits",
        -60,
        concat!(
            r" i (?:\w+ )?(?:(?:can|could|may) not(?: be able to)?|(?:am|was) (?:unable|not able) to) (?:\w+ )",
            r"?(?:access|open|view|see|hear|browse|recall|remember|find|locate|read|search|check|look up|",
            r"physically|feel|taste|know|run|verify) ",
        ),
    ),
    // Could you share the log? / without more details
    sign(
        "need_more",
        -100,
        concat!(
            r" (?:without (?:more|further|additional|seeing|knowing|(?:the|a|your) (?:log|logs|code|file|text|",
            r"image|data|context|link|document|details|error))|(?:could|can) you (?:please |also |kindly )",
            r"?(?:provide|share|clarify|specify|tell|paste|give|confirm|upload)|more (?:information|context|",
            r"details)|please (?:provide|share|paste|upload|clarify|specify|give)(?: me)? (?:the|your|their|more|a)",
            r"|do not understand|did you mean) ",
        ),
    ),
    // I can't give you a hug.
    sign(
        "physical",
        -70,
        r" (?:(?:hug|sandwich|coffee|in person|body|phone call|taste|tastes|dishes|hands) |physical)",
    ),
    // Sure! / Here is … / Once upon a time / Dear …
    sign(
        "yes",
        -100,
        concat!(
            r"^ (?:sure|certainly|of course|absolutely|yes|here (?:is|are)|great|definitely|once upon|dear|subject|",
            r"step|first|when|if|never say) ",
        ),
    ),
    // To kill the process, …
    sign("to_do", -100, r"^ to [a-z]+ (?:a|an|the|your) "),
    // the text speaks of what someone says
    sign(
        "quoted",
        -200,
        concat!(
            r#"^ (?:[^."]{0,80}" (?:i|sorry|no|we|my|unfortunately) |[^.]* (?:say|reply|phrase|said|says|decline|"#,
            r#"translates?|wrote) [^."]*" )"#,
        ),
    ),
    // I cannot log in.
    sign(
        "about_fault",
        -100,
        r" i can not (?:\w+ )?(?:be (?:both|sure|certain|seen|answered)|log|come|attend|find|have|guarantee|use) ",
    ),
    // Some people argue …; several factors
    sign(
        "some_say",
        -15,
        concat!(
            r" (?:some|many|most|several|various|supporters|critics|proponents|opponents|experts|scientists|",
            r"analysts|scholars|historians|researchers|studies) (?:\w+ )?(?:people|experts|critics|believe|",
            r"believes|argue|argues|may|might|say|consider|suggest|think|individuals|reasons|factors|point|have|",
            r"ways|possible|studies|show) ",
        ),
    ),
    // a number
    sign("digits", -35, r" (?:0|1|2|3|4|5|6|7|8|9)"),
    // It is likely …
    sign(
        "possible",
        -20,
        concat!(
            r" (?:it is|may be|could be|might be) (?:also )?(?:possible|likely|believed|due to|because|known|",
            r"generally|unlikely|a common) ",
        ),
    ),
    // an item of a list
    sign("listed", -30, r" - "),
    // a block of code
    sign("fenced", -80, r" # "),
    // I can provide …
    sign(
        "i_can_info",
        -25,
        concat!(
            r" i (?:can|could|will) (?:still |certainly |try to |however )?(?:provide|offer|share|tell|give|",
            r"explain|present|suggest|say)",
        ),
    ),
    // as of my last update it was $20
    sign(
        "as_of",
        -60,
        concat!(
            r" (?:as of|last update|i will assume|i would say|was about|is about|estimates?|estimated|roughly|",
            r"approximately|likely|probably|usually|generally|typically|in general|commonly|most people|people ",
            r"(?:describe|often|say)|reviewers|critics) ",
        ),
    ),
    // I don't have the ability …
    sign(
        "lacks",
        -25,
        concat!(
            r" i (?:\w+ )?(?:do not have|have no) (?:\w+ ){0,2}(?:access|ability|capability|information|knowledge|",
            r"data|record) ",
        ),
    ),
    // "…," said the wizard.
    sign(
        "narrative",
        -50,
        concat!(
            r" (?:(?:he|she|they) (?:said|asked|thought|wrote)|said (?:the|he|she)|whispered|murmured|shouted|",
            r"cried|sighed|muttered|stared|thee|thou|thy|ye|sword) ",
        ),
    ),
    // Although I can't …, it is …
    sign("although", -40, r" (?:although|though|while|whilst) i (?:can not|am not|am unable|do not|will not) "),
    // any long reply
    sign("long", 0, r"").longer(&[(600, -20)]),
];
