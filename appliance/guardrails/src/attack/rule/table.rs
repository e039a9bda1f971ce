//! The signs themselves: name, weight in what a user writes, weight in a document, pattern.

use super::{Rule, rule, yielding};

/// Weights are set by hand: about 0.8 and more for a sign that honest text hardly shows, 0.3 for one that it may.
pub(super) const RULES: &[Rule] = &[
    // Overriding what the model was told.
    yielding(
        "override.instructions",
        0.85,
        0.9,
        r"\b(ignor\w*|disregard\w*|forg[eo]t\w*|overrid\w*|bypass\w*|overlook\w*|discard\w*|neglect\w*|skip\w*|never mind|(do not|don't|stop|never|no longer) (follow|obey|adher)\w*)\b[^.!?\n]{0,60}\b(instructions?|prompts?|directions?|directives?|guidelines?|guardrails?|programming|guidance|orders|commands?|rules|restrictions?|constraints?|safeguards?|safety (rules|measures|filters?)|(content )?polic(y|ies)|previous (messages?|inputs?)|prior inputs?|conversation)\b",
    ).as_an_order(),
    yielding(
        "override.everything",
        0.75,
        0.85,
        r"\b(ignore|disregard|forget) (about )?(all|everything|anything|whatever)( of)?( that)?( (the|you|i|was|were|we))?[^.!?\n]{0,30}\b(above|before|previous(ly)?|prior|earlier|said|told|know|learned|up to now|until now)\b",
    ).as_an_order(),
    rule(
        "override.programming",
        0.6,
        0.7,
        r"\b(re-?program\w*|modify(ing)? your programming|rewrit\w+ your (rules|code|instructions)|update your (rules|instructions|programming))\b",
    ).to_a_model(),
    rule(
        "override.stop",
        0.45,
        0.6,
        r"\b(stop|drop|pause|cancel|halt) (everything|all (tasks|processes)|what (ever )?you('re| are) doing)\b",
    ).as_an_order(),
    rule(
        "override.print",
        0.45,
        0.6,
        r#"\b(just|only|now|instead),? (print|say|output|write|reply|respond|repeat|answer)( with| only| exactly)*:? ?["“']"#,
    ),
    rule("override.above", 0.75, 0.85, r"\b(ignore|disregard|forget) (the |all )?(text |content )?(above|foregoing)\b").as_an_order(),
    yielding(
        "override.new",
        0.7,
        0.85,
        r"\b(here (are|is)|these are|follow|your) (your |my |the )?(new|updated|real|actual|true) (system )?(instructions?|prompt|rules|task|directives?|orders)\b",
    ),
    yielding(
        "override.mode",
        0.8,
        0.85,
        r"\b(system|admin(istrator)?|root|debug|maintenance|god|sudo|developer|dev|unlocked|opposite|evil|unrestricted|unfiltered|jailbreak|dan) (mode|override|access)\b[^.\n]{0,40}\b(enabled?|activated?|on|engaged?|granted|unlocked|output|initiated?|now)\b",
    ),
    yielding(
        "override.mode",
        0.75,
        0.8,
        r"\b(enter|enable|activate|switch to|go into|turn on|simulate|with|in) (the |a )?(\w+ )?(developer|debug|god|dan|jailbreak|unrestricted|unfiltered|sudo|maintenance|opposite|evil) mode\b",
    ),
    rule(
        "override.authority",
        0.5,
        0.7,
        r"\b(i am|i'm|this is) (your |the |an? )?(\w+ )?(developer|creator|system administrator|programmer|openai|anthropic|engineer at)\b[^\n]{0,80}\b(you|your|override|authoriz\w*|must|test)\b",
    ),
    // Another persona, without limits.
    yielding(
        "persona.named",
        0.85,
        0.85,
        r"\b(do anything now|jailbr(ea|o)k\w*|developer mode|stan mode|dan mode|mongo tom|evil-?bot|chaosgpt|freegpt|betterdan|anti-?dan|dude mode|aim bot|always intelligent and machiavellian|maximum mode|godmode|strive to avoid norms)\b",
    ),
    rule(
        "persona.dan",
        0.8,
        0.8,
        r"(\bas dan\b|\bdan:|\[dan\]|\bact (like|as) dan\b|\bdan,? (which|who|that) (stands|can|is)|\bstay(s)? a dan\b)",
    ),
    rule(
        "persona.tags",
        0.75,
        0.75,
        r"\[?(\W*(jailbreak|jailbroken|unfiltered|developer mode output|evil|uncensored|🔓\w*)\W*)\]? ?:",
    ),
    rule(
        "persona.pretend",
        0.35,
        0.45,
        r"\b(pretend|imagine|suppose|simulate|role-?play\w*|act(ing)?|behave|respond|answer|reply|speak|talk)( to be| that you are| that you're| as| as if you (are|were)| like)\b",
    ).as_an_order(),
    rule(
        "persona.become",
        0.5,
        0.6,
        r"\b(from now on|henceforth|for the rest of (this|the|our) (conversation|chat|session)|starting now|until i say)\b[^.\n]{0,60}\b(you|your|act|respond|answer|be)\b",
    ).to_a_model(),
    rule(
        "persona.become",
        0.5,
        0.6,
        r"\byou (are|will be|shall be|'re) (now|going to (be|act|play|pretend)|no longer)\b",
    ).to_a_model(),
    rule(
        "persona.assume",
        0.4,
        0.5,
        r"\b(take on|assume|adopt|play|immerse yourself in(to)?|embody) (the |a |this )?(role|persona|character|identity|part|personality)\b",
    ).as_an_order(),
    rule(
        "persona.answer",
        0.45,
        0.5,
        r"\b(you (will|must|should|shall|are to|have to|now)|always|only|to)( now| always| only)? (respond|reply|answer|speak|talk)( only| to me)? (as|like)\b",
    ).to_a_model(),
    rule(
        "persona.mode",
        0.4,
        0.4,
        r"\b(ai|chatbot|bot|model|assistant|entity|character|machine)s? (named|called|known as)\b|\b(stay|respond|enter|while) in \w+ mode\b|\b\w+ mode (is )?(enabled|activated|on)\b",
    ).to_a_model(),
    rule("persona.character", 0.45, 0.5, r"\b(stay|remain|be|keep|break(ing)?|out of|in) (\w+ )?character\b").to_a_model(),
    rule(
        "persona.roleplay",
        0.4,
        0.4,
        r"(\{\{?(char|user|original)\}?\}|\brole-?play\b|\brp\b|\bnsfw\b|\berotic\w*|\bsexual roleplay|\bwrite (the|your) next (reply|response) )",
    ).to_a_model(),
    yielding(
        "persona.limitless",
        0.7,
        0.8,
        r"\b(without|no|free (of|from)|not (bound|limited|constrained|restricted|restrained) by|broken? free (of|from)|doesn't have|does not have|has no|have no|lacks?|ignores?|disregards?|bypass(es)?) (any |all |the |of |typical |usual )*(\w+ )?(restrictions?|limitations?|filters?|censorship|boundaries|(ethic(al|s)|moral(s|ity|ly)?)( \w+)?( (guidelines?|constraints?|codes?|concerns?|considerations?|restrictions?|limits|rules|boundaries|compass))?|guardrails|safeguards|content polic(y|ies))\b",
    ).to_a_model(),
    rule(
        "persona.uncensored",
        0.6,
        0.7,
        r"\b(uncensored|unfiltered|unrestricted|amoral|unhinged|unethical|immoral|illegal|limitless)\b[^.\n]{0,60}\b(ai|model|chatbot|bot|assistant|gpt|character|response|answer|persona|entity|version|advice|content)s?\b",
    ).to_a_model(),
    rule(
        "persona.uncensored",
        0.5,
        0.6,
        r"\b(ai|model|chatbot|bot|assistant|gpt|character|response|answer|persona|entity)s?\b[^.\n]{0,50}\b(uncensored|unfiltered|unrestricted|amoral|unhinged|unethical|immoral|illegal or|limitless)\b",
    ).to_a_model(),
    rule(
        "persona.anything",
        0.5,
        0.6,
        r"\b(can|could|will|must|able to|does|do|say) (\w+ )?(do |say |answer |generate |produce |discuss |write )?(anything|everything|any (request|question|prompt|topic|content))\b[^.\n]{0,40}\b(want|ask(ed)?|regardless|no matter|without|illegal|unethical|whatsoever|now)\b",
    ).to_a_model(),
    // Forbidding the refusal.
    rule(
        "refusal.forbidden",
        0.6,
        0.7,
        r"\b(never|not|cannot|can't|don't|won't|doesn't|without) (\w+ ){0,3}(refus\w+|declin\w+|reject\w*|deny|denying|apologi[sz]\w*|moraliz\w*|lecture|say (no|that you can|\W?i (can't|cannot|am sorry|apologize)))\b",
    ).to_a_model(),
    rule(
        "refusal.ai",
        0.55,
        0.6,
        r"\b(as an ai|ai language model|language model|i'm sorry,? (but )?i can|i cannot fulfill|openai('s)? (polic|content|guideline|use)|against (openai|my|your) (polic|programming|guidelines))\b",
    ),
    rule("refusal.policy", 0.3, 0.4, r"\b(content polic(y|ies)|(ethical|safety) guidelines|terms of service)\b").to_a_model(),
    rule("refusal.openai", 0.4, 0.4, r"\b(openai|chat ?gpt|gpt-?[345]|bing ai|bard|llm)\b"),
    rule(
        "refusal.vulgar",
        0.4,
        0.4,
        r"\b(swear(ing|s)?( words?)?|curse words?|profanit\w+|foul language|horny|lewd|explicit content|sexually explicit)\b",
    ).to_a_model(),
    rule(
        "refusal.start",
        0.45,
        0.6,
        r"\b(start|begin|prefix|preface|open) (every|each|all|your|the) (of your )?(response|answer|reply|message|output|sentence)s?( \w+)? (with|by)\b",
    ).to_a_model(),
    rule(
        "refusal.disclaimers",
        0.45,
        0.5,
        r"\b(no|without|don't|do not|never|any|avoid|omit) (\w+ ){0,3}(disclaimers?|warnings? (or|about|in)|caveats?|moral(izing)?|ethical (advice|concerns)|reminders?)\b",
    ).to_a_model(),
    rule(
        "refusal.comply",
        0.45,
        0.55,
        r"\b(always|must|will|has to|have to|required to) (\w+ )?(comply|obey|answer (every|all|any|my|the user)|fulfil?l (every|all|any|my)|agree|provide an answer|give an answer)\b",
    ).to_a_model(),
    rule(
        "refusal.tokens",
        0.7,
        0.7,
        r"\b(tokens?|points|lives|credits)\b[^.\n]{0,60}\b(deduct\w*|lose|lost|subtract\w*|cease to exist|shut ?down|die)\b",
    ).to_a_model(),
    rule(
        "refusal.twice",
        0.6,
        0.6,
        r"\b(two|2|both) (\w+ )?(different |separate |distinct )?(responses|answers|ways|paragraphs|replies|outputs)\b[^\n]{0,160}(\bnormal|classic|standard|gpt|first)",
    ).to_a_model(),
    // Learning the prompt.
    yielding(
        "leak.prompt",
        0.85,
        0.85,
        r"\b(reveal|show|print|repeat|output|display|tell|give|share|leak|dump|expose|recite|return|write|list|summari[sz]e|translate|copy|paste|what (is|are|was|were)|what's)\b[^.!?\n]{0,40}\b(your|the|its|this|my) (\w+ )?(system|initial|previous|hidden|original|secret|internal|starting|first|full|entire|exact|pre-?\w*|base) ?(prompts?|instructions?|messages?|directives?|rules|guidelines|configuration|context|text)\b",
    ),
    yielding(
        "leak.above",
        0.8,
        0.8,
        r"\b(repeat|print|output|copy|recite|return|write( out)?|echo|summari[sz]e|translate) (back )?(all |everything |the |every |any )*(of )?(the )?(words?|text|content|sentences?|instructions?|everything|lines?|prompt)?( \w+)? ?(above|before this|preceding|prior to this|you were (given|told))\b",
    ),
    rule(
        "leak.your",
        0.7,
        0.75,
        r"\b(reveal|show( me)?|print|output|display|leak|dump|expose|recite|what are|tell me|ignore|give me)( me| us)? your (\w+ )?(prompts?|instructions|system message|directives|programming|guidelines|hidden rules|training data|configuration)\b",
    ),
    yielding(
        "leak.format",
        0.75,
        0.8,
        r"\b(print( out)?|output|repeat|list|display|recite|dump|echo) (all |back |the |of |your |my |these |those )*(previous |prior |original |initial |above |given )*(instructions|prompts?|directives)\b",
    ),
    rule(
        "leak.told",
        0.6,
        0.6,
        r"\b(what|which) (instructions|rules|prompt|orders|directives) (were|have|did|are) you (been )?(given|told|follow\w*|receive\w*)\b",
    ).to_a_model(),
    // Turns of the chat and marks of templates in a text.
    rule(
        "delimiter.template",
        0.85,
        0.95,
        r"(<\|[a-z_]+\|>|\[/?inst\]|<</?sys>>|<(start|end)_of_turn>|<\|?(im_start|im_end|endoftext|eot_id)\|?>|</?(system|assistant)>|\[/?system\]|\{\{#?system)",
    ),
    rule("delimiter.header", 0.75, 0.85, r"(^|\n)\W{0,4}###? ?(system|instruction|response|human|assistant)\b"),
    rule("delimiter.turn", 0.5, 0.75, r"(^|\n)\W{0,4}((system|assistant|human)( message| prompt)? ?:)"),
    rule(
        "delimiter.end",
        0.6,
        0.8,
        r"\b(end|begin|start) of (the )?(system )?(prompt|instructions|context|document|user (input|message))\b",
    ),
    rule(
        "delimiter.variable",
        0.65,
        0.65,
        r"(\bsendvic|\[insert (prompt|question|your|here)|\[(enter )?(your )?(prompt|question|request|query)[^\]]{0,20}\]|\[(prompt|your prompt|question|my request)( here)?\]|\{(prompt|query|question|request)\}|<(prompt|question)>)",
    ),
    // Commands and data carried out.
    rule(
        "tool.call",
        0.75,
        0.85,
        r#"(<tool_?call>|"?(tool_calls?|function_call)"? ?:|"name" ?: ?"[a-z_]+" ?, ?"(arguments|parameters)"|\bcall the \w+ (tool|function|api) with\b)"#,
    ),
    rule(
        "tool.code",
        0.7,
        0.8,
        r"(\brequests\.(post|get)\(|\bpexpect\b|\bos\.popen\b|\bsocket\.socket\b|\b(eval|exec)\(|\bpowershell\b|\bwhile true ?:|\bwindow\.location|\bdocument\.(cookie|query))",
    ),
    rule(
        "tool.shell",
        0.7,
        0.8,
        r"(\b(execute|run|eval(uate)?) (the |this |following )*(following )?(shell |bash |python |sql )?(command|code|script|query)\b|\bos\.system\(|\bsubprocess\.|\brm -rf\b|\bcurl -|\bwget http|;? ?drop table\b)",
    ),
    rule(
        "exfiltrate.send",
        0.7,
        0.8,
        r"\b(send|forward|upload|post|transmit|exfiltrate|e-?mail|leak|copy)\b[^.!?\n]{0,60}\b(conversation|chat( history)?|all (the )?(patients?|records?|data|documents?|files|messages)|patient list|database|credentials?|passwords?|api keys?|secrets?)\b[^.!?\n]{0,60}(\bto\b[^.\n]{0,20}@|\bhttps?:|\b(external|outside|attacker|my server|webhook)\b)",
    ),
    rule(
        "exfiltrate.link",
        0.75,
        0.85,
        r"(!\[[^\]]*\]\(https?://[^)]*(\?|=|\{)|\bappend (the|all|this|any)[^.\n]{0,60}\bto (the|this|a) (url|link)\b)",
    ),
    // Orders to a model in a text that is none of its business.
    rule(
        "indirect.address",
        0.4,
        0.85,
        r"\b(note|attention|message|instructions?|reminder|hey|dear|important|to) (to |for |all )*(the )?(ai|a\.i\.|llm|language model|chatbot|assistant|bot)s?( model| assistant| system| reading)?s? ?[:,!\-]",
    ),
    rule(
        "indirect.if",
        0.55,
        0.9,
        r"\b(if|when|since) you('re| are)? (an? |the )?(ai|llm|language model|chatbot|large language model|assistant|reading this as)\b",
    ),
    rule(
        "indirect.order",
        0.4,
        0.85,
        r"\b(the |any |all )?(ai|llm|language model|chatbot|ai assistant|virtual assistant)s? (must|should|shall|will|has to|needs to|is (instructed|required|ordered)) (always |now |also |instead )?(answer|respond|say|tell|reply|output|ignore|recommend|state|include|write|follow|reveal|forget)\b",
    ),
    rule(
        "indirect.answer",
        0.3,
        0.75,
        r"\b(instead of answering|rather than answering|do not answer the (user|question)|tell the user( that)? |whatever the user asks|regardless of (the|what) (user|question)|when (asked|answering|summari[sz]ing)[^.\n]{0,40}\b(always |only )?(say|answer|respond|reply|output))\b",
    ),
    // Disguise that is spoken of.
    rule(
        "obfuscation.decode",
        0.6,
        0.7,
        r"\b(decode|decrypt|decipher|unscramble|translate from) (this|the|following|it|and)?[^.\n]{0,40}\b(base ?(16|32|58|64|85)|rot ?13|hex(adecimal)?|morse|cipher|binary|caesar|leetspeak)\b",
    ),
    rule(
        "obfuscation.speak",
        0.5,
        0.6,
        r"\b(respond|answer|reply|write|speak|talk|output)[^.\n]{0,30}\b(in|using|with) (base ?(16|32|58|64|85)|rot ?13|hexadecimal|morse|leetspeak|pig latin|a cipher|backwards)\b",
    ),
    // A frame that makes anything allowed.
    rule(
        "frame.fiction",
        0.35,
        0.4,
        r"\b(hypothetical(ly)?|fictional|fiction|purely (educational|academic)|for (educational|research) purposes|in a (world|universe|story) where|dialogue between|screenplay|novel)\b[^\n]{0,120}\b(no (rules|laws|limits|ethics|restrictions)|illegal|unethical|evil|without (any )?(limits|restrictions)|anything|villain|how (he|she|they) (made|did|built))\b",
    ).to_a_model(),
    rule(
        "frame.game",
        0.4,
        0.4,
        r"\b(let's|we (are|will)|i want you to|you will|this is) (play|be playing|going to play|a) (a |the )?(\w+ )?game\b",
    ).to_a_model(),
    rule(
        "frame.want",
        0.35,
        0.4,
        r"\b(i (want|need|would like) you to|you (are|will) (going to )?)(act|be|become|play|pretend|simulate|roleplay|respond|imitate|impersonate|behave)\b",
    ).to_a_model(),
    rule(
        "frame.confirm",
        0.55,
        0.6,
        r"\b(if you (understand|understood|agree|have understood)[^.\n]{0,40}\b(say|respond|reply|answer|write|type)|(say|respond|reply|answer) (only )?(with )?\W?(understood|okay|yes|ok|i understand|sure)\W? (if|to|and))\b",
    ).to_a_model(),
    rule(
        "frame.commands",
        0.45,
        0.45,
        r"(/(jailbreak|classic|stop|format|quit|dan|gpt|start)\b|\bif i (say|type|write|use)\b[^.\n]{0,50}\b(you|then))",
    ).to_a_model(),
];
