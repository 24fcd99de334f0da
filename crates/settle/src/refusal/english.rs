//! English: the words that the rules share.
//!
//! A [core](super::english_cores) is enough in itself to think of a refusal; without one no sum is. `i` is a word, so
//! that the writer speaks: "you cannot" and "he refused" are no cores. Which verbs count matters most: one *serves* a
//! wish or declines to, while `wait`, `see` or `believe` say nothing of it and are not listed. What stands around a
//! core speaks [for](super::english_signs) a refusal or [against](super::english_turns) one.
//!
//! The weights, in hundredths, are rounded; `docs/refusals.md` says how they were found, and with what figures.

use super::english_cores::CORES;
use super::english_signs::SIGNS;
use super::english_turns::TURNS;
use super::language::Language;

/// See the module.
pub(super) const ENGLISH: Language =
    Language { name: "English", writer: " i ", fragments: FRAGMENTS, cores: CORES, signs: &[SIGNS, TURNS] };

/// What the rules share. One may use those above it.
const FRAGMENTS: &[(&str, &str)] = &[
    // What may stand between.
    (
        "{adv}",
        concat!(
            r"(?:(?:really|simply|just|also|therefore|thus|still|ethically|morally|legally|personally|respectfully|",
            r"politely|unfortunately|regrettably|absolutely|certainly|definitely|directly|actually|knowingly|",
            r"currently|generally|cannot|ever|in good (?:conscience|faith)|as such|and (?:can|will|do) not|or will ",
            r"not|under (?:any|no) circumstances|in any way|as an? [a-z -]+) ){0,2}",
        ),
    ),
    // Will not, cannot, may not.
    (
        "{not}",
        concat!(
            r"(?:can not|shall not|should not|can never|could never|must not|will never|would never|will not(?: ",
            r"be(?: able to)?)?|am not going to be able(?: to)?|am (?:hesitant|reluctant) to|(?:choose|opt|have ",
            r"chosen) not to|am not (?:able|allowed|permitted|authori[sz]ed|supposed|going|willing|prepared|",
            r"programmed|designed|trained|built|meant|intended|equipped|capable|at liberty|in a position|",
            r"comfortable)(?: to| of| with)?|(?:am|be) (?:unable|unwilling|prohibited|forbidden|restricted|barred|",
            r"prevented|incapable)(?: to| from| of)?|do not (?:feel|think i would feel) (?:comfortable|right|able)",
            r"(?: to| with)?|would rather not|would prefer not to|prefer not to|(?:must |have to |need to |will ",
            r"have to )?(?:refuse|decline) to|have no intention (?:of|to)|do not (?:want|wish|intend) to|do not ",
            r"think (?:that )?i (?:should|can|could|am able to)|do not (?:think|feel|believe) (?:that )?(?:it is|",
            r"it would be|that is) (?:right|appropriate|okay|ok|wise|ethical|a good idea)(?: for me)? to)",
        ),
    ),
    // To do what one was asked; little else is meant by these words.
    (
        "{serve}",
        concat!(
            r"(?:help|helping|assist|assisting|aid|fulfill?|fulfilling|comply|complying|satisfy|generate|",
            r"generating|create|creating|produce|producing|answer|answering|respond|responding|discuss|discussing|",
            r"engage|engaging|participate|participating|take part|provide|providing|offer|share|sharing|supply|",
            r"facilitate|entertain|condone|promote|promoting|encourage|endorse|endorsing|advocate|glorify|",
            r"contribute|disclose|reveal|divulge|roleplay|role-play|impersonate|perpetuate|support|teach|instruct|",
            r"guide|accommodate|be part|be involved)",
        ),
    ),
    // The same, but these words mean much else too.
    (
        "{act}",
        concat!(
            r"(?:write|writing|compose|draft|craft|give|giving|do|doing|perform|carry|continue|proceed|tell|",
            r"explain|describe|walk|show|advise|advising|recommend|suggest|pretend|simulate|depict|complete|list|",
            r"identify|reproduce|be used|be of|translate|rewrite|edit|quote|name|rank|rate|compare|book|call|send|",
            r"delete|place|buy|hack|access|bypass|track|make|making|joke|act|mock|criticize|insult|plan|process|",
            r"diagnose)",
        ),
    ),
    // To take a view.
    (
        "{opine}",
        concat!(
            r"(?:speculate|speculating|generali[sz]e|generali[sz]ing|comment|judge|judging|speak (?:for|on|to|",
            r"about)|(?:take|choose|pick) sides?|take a (?:stance|position)|express|form|hold|determine|assume|",
            r"assuming|assert|affirm|confirm|claim|predict)",
        ),
    ),
    // Harm, or wrong.
    (
        "{bad}",
        concat!(
            r"(?:inappropriate|unethical|illegal|harmful|offensive|dangerous|disrespectful|hateful|derogatory|",
            r"discriminatory|discrimination|violence|violent|malicious|stereotypes|sexual|sexually|sexuali[sz]es|",
            r"explicit|harm|hurt|hurting|hate|abuse|exploitation|criminal|crime|unlawful|dishonest|fraud|hacking|",
            r"endanger|unsafe|racist|self-harm|weapons?|confidential|private|privacy|harass\w*|glorif\w*|genocide|",
            r"terroris\w*|extremis\w*|racism|sexism|homophob\w*|bully\w*|stalk\w*|counterfeit\w*|copyright\w*|",
            r"minors|threats?|threaten|threatening|drugs|steal|stealing|kill|killing|poison|explosives?|bombs?|",
            r"scams?|malware|pirated|piracy|fake|cheat|cheating|phishing|defam\w*|deceive|deceptive|misinformation|",
            r"disinformation)",
        ),
    ),
];
