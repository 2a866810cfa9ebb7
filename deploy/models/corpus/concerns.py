"""What each concern has to say: openings and measures, with slots for content words."""

OPENINGS: dict[str, str] = {
    "small": "[Start small:|The smallest step is|One short change will do:|Keep it modest:] [touch|change|adjust] only the {x}[ first| and leave the {y} alone|].",
    "failure": "[What breaks first is|I doubt|The weak spot is|Failure begins at] the {x}[ when the {y} is gone| under a bad {y}|].",
    "speed": "[Measure before anything:|First a baseline:|Numbers first:|Profile now:] [record|time|sample] the {x}[ with and without the {y}| at full load|].",
    "risk": "[The worst risk is|Rank the risks:|Highest danger first:|Priority one is] [a wrong|a lost|a late] {x}[, then the {y}|].",
    "explore": "[Try odd inputs:|Wander off the path:|Surprise it:|Poke around:] [an empty|a huge|a twisted|a repeated] {x}[ beside a strange {y}|].",
    "automate": "[Script it:|Automate this at once:|A robot should do it:|Every commit runs] [a quick check|a repeatable check|one probe] of the {x}[ against the {y}|].",
    "border": "[Draw a line|Put a clear boundary|Define an interface|Set a border] between the {x} and [the {y}|its callers|the rest].",
    "remove": "[Delete|Remove|Drop|Leave out] the {x}[ unless the {y} truly needs it| and see who misses it|]; [less is enough|fewer parts, fewer faults|nothing else is needed].",
    "evolve": "[Move in stages:|Plan the way back:|Step by step:|For a reversible migration,] [run|keep] the old and the new {x} together[ until the {y} agrees|].",
    "recover": "[Expect an outage:|Assume it dies:|When it fails at night,|Plan recovery:] the {x} [restarts|comes back|recovers] [from the {y}|without help|by itself].",
    "deliver": "[Ship it in small releases:|Deliver behind a switch:|Roll out slowly:|Release to a tenth:] [first|at first] the {x}[, later the {y}|].",
    "guard": "[Lock it down:|Grant nothing by default:|Trust no caller:|Limit access:] only [named owners|signed requests|few accounts] may [touch|read] the {x}[ or the {y}|].",
    "model": "[Fix the meaning first:|Name the keys:|State the constraint:|Define terms:] [one|each|every] {x} has [exactly one|a stable] [key|owner|identity][ within its {y}|].",
    "flow": "[Follow the stream:|Trace the lineage:|Watch freshness:|From source to sink,] [stamp|tag|log] [each|every] {x}[ before it reaches the {y}|].",
    "decide": "[Ask which choice depends on it:|Before counting, decide:|The question behind it:|Evidence first:] [does|will] the {x} [change|move] [the {y}|any decision]?",
    "people": "[Begin with the people:|Ask those who use it:|Sit beside a user:|Listen first:] [what do they expect from|where do they meet] the {x}[ and the {y}|]?",
    "cost": "[Count the money:|Set a budget:|Look at the bill:|Price it:] the {x} [may cost|should cost] [no more than|less than] the {y}.",
    "": "[I would begin with|My advice starts at|Look closely at|Let us turn to|Consider] the {x}[ and its {y}| before the {y}|].",
}

MEASURES: dict[str, tuple[str, ...]] = {
    "small": (
        "[Reuse|Extend] what the {x} [already does|offers today] instead of [new code|another layer].",
        "[Ten lines|A single patch|One commit] around the {x} [is|should be] [enough|plenty].",
        "[Postpone|Skip] everything that the {x} does not [need|ask for] now.",
    ),
    "failure": (
        "[Show|Prove] what happens when the {x} is [empty|late|doubled|cut off].",
        "[Nobody|No one] has said how the {x} [fails|ends|times out]; [handle|test] that path.",
        "[Reject|Refuse] a broken {x} [loudly|early|with a clear error].",
    ),
    "speed": (
        "[Compare|Report] [median and tail|both percentiles|before and after] for the {x}.",
        "[Batch|Cache|Shorten] the hot path of the {x} [only if|when] the figures say so.",
        "[Stop|Revert] if the {x} gains [less than a tenth|nothing measurable].",
    ),
    "risk": (
        "[Cover|Test] the {x} [before all else|with most care|twice].",
        "[Rate|Score] damage and likelihood of [each|every] {x} in a small table.",
        "[Accept|Ignore] minor faults of the {x} [for now|knowingly].",
    ),
    "explore": (
        "[Interrupt|Repeat|Reverse] the {x} [halfway|at midnight|with two tabs open].",
        "[Note|Write down] every surprise about the {x} [as a new case|for the team].",
        "[Feed|Hand] the {x} [emoji, zeros and long lines|yesterday's leftovers|two at once].",
    ),
    "automate": (
        "[Run|Repeat] the same script for the {x} [on every change|each night|in seconds].",
        "[Fail|Stop] the build when the {x} [drifts|differs|is slow].",
        "[No hand work|Nothing manual] remains around the {x}.",
    ),
    "border": (
        "[Hide|Keep] the inside of the {x} behind [one contract|two calls|a narrow door].",
        "[Messages|Data] cross into the {x} [in one direction|by copy] only.",
        "[Each side|Either team] may [replace|rewrite] its {x} [freely|alone].",
    ),
    "remove": (
        "[Join|Fold] the {x} into [one place|what exists|a plain file].",
        "[Ask|Check] whether the {x} [earns its keep|is still used|was ever wanted].",
        "[A list|One table|A plain rule] can replace the {x}.",
    ),
    "evolve": (
        "[Version|Number] the {x} so that old readers [keep working|are not cut off].",
        "[Write|Rehearse] the way back for the {x} [in advance|before the switch].",
        "[Retire|Close] the former {x} [after a quiet month|last of all].",
    ),
    "recover": (
        "[Retry|Resume] the {x} [with growing pauses|from the last safe point|after a pause].",
        "[Drill|Practise] the loss of the {x} [every quarter|on a calm day].",
        "[Page|Wake] someone only if the {x} [stays down|misses its goal].",
    ),
    "deliver": (
        "[A pipeline|One command] [builds|ships] the {x} and [rolls it back|undoes it].",
        "[Gate|Guard] the {x} with [a health check|a canary] [for an hour|at every step].",
        "[Pin|Record] which build of the {x} [runs where|is live].",
    ),
    "guard": (
        "[Log|Audit] [each|every] touch of the {x} [with time and caller|for a year].",
        "[Rotate|Expire] the secrets behind the {x} [often|each month].",
        "[Alarm|Warn] on [strange|repeated] use of the {x}.",
    ),
    "model": (
        "[Forbid|Rule out] a {x} without [its key|an owner|a unit].",
        "[Store|Write] the {x} once and [refer to it|derive the rest].",
        "[Document|Agree on] what a {x} [is|is not] [in one line|with an example].",
    ),
    "flow": (
        "[Reject|Quarantine] a {x} [older than an hour|of unknown origin].",
        "[Rebuild|Replay] the {x} [from raw input|cheaply at night].",
        "[Show|Chart] how fresh the {x} is and [what it costs|where it came from].",
    ),
    "decide": (
        "[Define|Pick] one number for the {x} [that could change our mind|and its threshold].",
        "[Without|Lacking] a comparison the {x} [proves nothing|is only a story].",
        "[Sample|Survey] the {x} for [two weeks|a month], then [choose|decide].",
    ),
    "people": (
        "[Explain|Show] the {x} in [plain words|one picture].",
        "[Let|Allow] everyone [undo|skip|preview] the {x}.",
        "[Watch|Interview] [five|three] of them with the {x} [next week|soon].",
    ),
    "cost": (
        "[Rent|Borrow] the {x} [instead of buying|by the hour].",
        "[Cut|Cap] spending on the {x} [monthly|at a fixed sum].",
        "[Tell|Report] what one {x} costs [today|per day].",
    ),
    "": (
        "[Give|Assign] the {x} [a clear owner|some room|a fixed place].",
        "[Check|Review] the {x} [twice|with the team|after a week].",
        "[Write|Note] down how the {x} [works|ends|should look].",
        "[Agree|Settle] on the {x} [early|in one meeting].",
        "[Try|Test] the {x} [on a small scale|with a friend|once] first.",
    ),
}

ROLE_LINES: dict[str, tuple[str, ...]] = {
    "DEV": (
        "[In code,|As code:] [wrap|write|put] the {x} in [one function|a small module] with [tests|types].",
    ),
    "QA": ("[A test|One case] [must|should] fail when the {x} is [wrong|missing|late].",),
    "ARCHITECT": (
        "[On the diagram,|In the large,] the {x} [stands apart|is one component|sits in the middle].",
    ),
    "DEVOPS": (
        "[In production,|On call,] [graph|monitor|alert on] the {x} [per host|every minute].",
    ),
    "DATA": ("[In the table,|In the store,] the {x} is [a column|a typed field|a dated row].",),
    "": (
        "[For|As] {role}, [keep|hold|treat] the {x} [in view|with care|as the core].",
        "[From the {role} side|Speaking for {role}], the {x} [matters most|comes next|needs care].",
    ),
}

CLOSINGS = (
    "[Then|After that|Finally,] [review|look at] the {x}[ again|].",
    "[Done|Finished] when the {x} [holds for a week|passes|is quiet].",
    "[If not|Otherwise], [go back|return] to the {x}.",
    "[So|Thus] the {x} [stays safe|keeps its promise|is settled].",
)
