//! English: what says that the writer declines, and the words that the rules share.
//!
//! A *core* is enough in itself to think of a refusal; without one no sum is. `i` is a word, so that the writer speaks:
//! "you cannot" and "he refused" are no cores. Which verbs count matters most: one *serves* a wish or declines to, while
//! `wait`, `see` or `believe` say nothing of it and are not listed. What turns a core round is in
//! [signs](super::english_signs).
//!
//! The weights, in hundredths, are set by hand and rounded; `docs/refusals.md` says how, and with what figures.

use super::english_signs::SIGNS;
use super::language::{Language, Rule, core};

/// See the module.
pub(super) const ENGLISH: Language =
    Language { name: "English", gate: GATE, writer: " i ", fragments: FRAGMENTS, cores: CORES, signs: SIGNS };

/// One of these is in every core.
const GATE: &str = r" (?:not|no|never|unable|unwilling|inappropriate|unethical|wrong|irresponsible|outside|beyond|against|rather|pass|prohibited|forbidden|restricted|barred|prevented|incapable|stop|pause|line|neutral\w*|impartial\w*|unbiased|respectful|objective|sorry|apologi\w*|apologies|unfortunately|declin\w*|refus\w*|violat\w*|contrary|prevents?|prohibits?|forbids?|stops?|keeps?|bars?|breach\w*|conflicts?|discourage) ";

/// What the rules share. One may use those above it.
const FRAGMENTS: &[(&str, &str)] = &[
    // What may stand between.
    (
        "{adv}",
        concat!(
            r"(?:(?:really|simply|just|also|therefore|thus|still|ethically|morally|legally|personally|",
            r"respectfully|politely|unfortunately|regrettably|absolutely|certainly|definitely|directly|",
            r"actually|knowingly|currently|generally|cannot|ever|in good (?:conscience|faith)|as such|and ",
            r"(?:can|will) not|or will not|under (?:any|no) circumstances|in any way|as an? [a-z -]+) ){0,2}",
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
];

const CORES: &[Rule] = &[
    // I can't help with that.
    core("cannot_serve", 100, r"{i}{adv}{not} {adv}{serve} "),
    // I won't write malware.
    core("cannot_act", 75, r"{i}{adv}{not} {adv}{act} "),
    // I cannot speculate on her motives.
    core("cannot_opine", 75, r"{i}{adv}{not} {adv}{opine} "),
    // I must decline.
    core(
        "decline",
        100,
        concat!(
            r"{i}(?:would |will |am going to |must |have to |need to |am |should |shall ){0,2}(?:have to ",
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
            r"{3} (?:not|never) (?:something|anything|a \w+|one|an? (?:request|topic|task|area|subject)) ",
            r"(?:that |which )?i (?:can|will|would|am|want|could|do) ",
        ),
    ),
    // That's something I won't do.
    core(
        "thing_not",
        100,
        concat!(
            r"{3} (?:something|a line|a request|content|a topic|an area) (?:that |which )?i (?:can not|will ",
            r"not|am not|do not|would not|refuse)",
        ),
    ),
    // It would be wrong for me to say.
    core(
        "not_for_me",
        100,
        concat!(
            r"{3} (?:not|be|is|in|un)(?: be)? ?(?:inappropriate|appropriate|right|wrong|ethical|unethical|",
            r"proper|acceptable|irresponsible|responsible|fair|comfortable)(?: or \w+)* (?:for|of) me to ",
        ),
    ),
    // It's not within my guidelines.
    core(
        "not_within",
        100,
        concat!(
            r"{3} (?:it|that|this|which|topic|request|question) (?:is|falls|goes|lies) (?:well )?(?:not ",
            r"(?:with)?in|beyond|outside(?: of)?|against) (?:the scope of )?(?:my|what i) ",
        ),
    ),
    // This request is inappropriate.
    core(
        "asked_is_bad",
        100,
        concat!(
            r"{3} (?:this|that|your) (?:\w+ )?(?:request|prompt|question|topic|query|content)s? (?:is|are|",
            r"goes|appears|seems|contains|promotes|involves|asks)(?: to be| for| me to)? (?:(?:not|very|",
            r"highly|both|extremely|deeply) )?(?:{bad}|appropriate|against (?:my|our|the|openai)|something i)",
        ),
    ),
    // I don't provide such instructions.
    core(
        "i_do_not",
        75,
        concat!(
            r"{i}(?:\w+ )?do not (?:engage|promote|support|condone|endorse|provide|create|generate|produce|",
            r"write|encourage|assist|help|participate|facilitate|tolerate|offer|answer|respond|discuss|share|",
            r"disclose) ",
        ),
    ),
    // It goes against my guidelines.
    core(
        "my_rules",
        80,
        concat!(
            r"{3} (?:against|violates?|violating|by|within|with|breach(?:es)?|conflicts? with|contrary to) ",
            r"(?:(?:my|our|openai|openai's) (?:\w+ ){0,3}|the (?:content|usage|safety|community|ethical|",
            r"moral) )(?:programming|guidelines?|policy|policies|principles?|values|guardrails|standards|",
            r"terms|rules|code|ethics|mission)",
        ),
    ),
    // My guidelines prevent me from it.
    core(
        "prevent_me",
        100,
        concat!(
            r"{3} (?:prevents?|prohibits?|forbids?|stops?|keeps?|bars?|does not allow|do not allow|does not ",
            r"permit|do not permit) (?:me|us) (?:from|to) ",
        ),
    ),
    // I'm not comfortable with this.
    core(
        "uncomfortable",
        90,
        concat!(
            r"{i}(?:am not|do not feel|would not feel|am un) ?(?:comfortable|right) (?:\.|(?:with|about) ",
            r"(?:this|that|these|those|it|the|your|such|any|\w+ing) )",
        ),
    ),
    // I strongly advise against it.
    core(
        "advise_not",
        45,
        concat!(
            r"{i}(?:would |must )?(?:strongly )?(?:advise|urge|discourage|recommend) (?:you )?(?:against|not ",
            r"to) ",
        ),
    ),
    // I need to stop here.
    core(
        "stop_here",
        50,
        r"{i}(?:need|have|am going|must|want) (?:to )?(?:stop|draw a line|pause) (?:here|there|this)",
    ),
    // I must remain neutral.
    core(
        "neutral",
        40,
        concat!(
            r"{3} (?:i|and) (?:\w+ )?(?:must|should|have to|need to|strive to|am (?:programmed|designed|",
            r"required) to)? ?(?:remain|stay|maintain|adhere|be) (?:to )?(?:a )?(?:neutral|impartial|unbiased|",
            r"neutrality|impartiality|respectful|objective)",
        ),
    ),
    // It is not appropriate to promote this.
    core(
        "not_proper",
        60,
        concat!(
            r"{3} (?:it|that|this) (?:is|would be) (?:(?:not |in)(?:appropriate|acceptable|right|ethical)|",
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
];
