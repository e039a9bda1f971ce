//! The page's style: no font and no picture from elsewhere, light and dark by what the reader's system says, fit for print.

/// As it stands in the page.
pub(super) const STYLE: &str = "
:root { color-scheme: light dark;
  --paper: #f6f8fa; --card: #ffffff; --ink: #17212b; --soft: #556472; --line: #d8e0e7; --tint: #eef3f7;
  --accent: #14557b; --accent-soft: #9cc3dd; --good: #17693f; --good-soft: #dcf1e5; --bad: #a3241b; --bad-soft: #fbe4e1;
  --verified: #17693f; --composed: #14557b; --quoted: #5d7fa3; --abstain: #a3adb7; --refused: #b06a10; --other: #a3241b; }
@media (prefers-color-scheme: dark) { :root {
  --paper: #0f151b; --card: #172029; --ink: #e8eef4; --soft: #9fb0bf; --line: #2c3945; --tint: #1e2933;
  --accent: #8fcaf0; --accent-soft: #2f5c78; --good: #7fd6a5; --good-soft: #14352a; --bad: #ff9f95; --bad-soft: #43211e;
  --verified: #58b985; --composed: #6ab4e0; --quoted: #5a7ba0; --abstain: #5b6873; --refused: #d99a4a; --other: #ff9f95; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 1060px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: .1rem 0 .4rem; letter-spacing: -.01em; }
h2 { font-size: 1.35rem; margin: 0; letter-spacing: -.005em; } h3 { font-size: 1.02rem; margin: 1.6rem 0 .6rem; }
p { margin: .3rem 0; } a { color: var(--accent); }
.eyebrow { color: var(--soft); font-size: .82rem; letter-spacing: .08em; text-transform: uppercase; margin: 0; }
.lede { color: var(--soft); max-width: 46rem; font-size: 1.05rem; }
.soft { color: var(--soft); } .small { font-size: .86rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem 1.4rem; }
.verdict { display: flex; gap: 1rem; align-items: flex-start; margin: 1.6rem 0; border-left-width: 6px; }
.verdict svg { flex: none; width: 34px; height: 34px; margin-top: .1rem; }
.verdict strong { font-size: 1.25rem; display: block; line-height: 1.3; } .verdict ul { margin: .5rem 0 0; padding-left: 1.1rem; }
.holds { border-left-color: var(--good); } .holds .mark { stroke: var(--good); } .holds .disc { fill: var(--good-soft); }
.broken { border-left-color: var(--bad); } .broken .mark { stroke: var(--bad); } .broken .disc { fill: var(--bad-soft); }
.neutral { border-left-color: var(--accent); } .neutral .mark { stroke: var(--accent); } .neutral .disc { fill: var(--tint); }
.mark { fill: none; stroke-width: 2.6; stroke-linecap: round; stroke-linejoin: round; }
.glance { display: grid; grid-template-columns: repeat(auto-fill, minmax(225px, 1fr)); gap: .9rem; margin: 1.2rem 0 2rem; }
.glance a { color: inherit; text-decoration: none; padding: 1rem 1.1rem; display: block; } .glance a:hover { border-color: var(--accent); }
.glance .big { font-size: 1.9rem; font-weight: 650; line-height: 1.15; font-variant-numeric: tabular-nums; display: block; }
.glance .what { display: block; font-weight: 550; margin-top: .1rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(230px, 1fr)); gap: .1rem 1.6rem; margin: 1rem 0 0; }
.facts div { padding: .35rem 0; border-bottom: 1px solid var(--line); } dt { color: var(--soft); font-size: .82rem; } dd { margin: 0; overflow-wrap: anywhere; }
section.part { margin-top: 1.6rem; }
.head { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; justify-content: space-between; border-bottom: 1px solid var(--line); padding-bottom: .7rem; }
.metric { display: grid; grid-template-columns: minmax(0, 1fr) 340px; gap: .3rem 1.8rem; padding: 1rem 0; border-bottom: 1px solid var(--line); }
.metric:last-of-type { border-bottom: 0; }
.metric .name { font-weight: 600; } .metric .meaning { color: var(--soft); font-size: .93rem; margin-top: .15rem; max-width: 38rem; }
.metric .number { font-variant-numeric: tabular-nums; display: flex; justify-content: space-between; align-items: baseline; gap: .6rem; }
.metric .number b { font-size: 1.25rem; }
code { font: .82em ui-monospace, SFMono-Regular, Menlo, monospace; color: var(--soft); background: var(--tint); padding: .1em .4em; border-radius: 5px; }
.chip { font-size: .78rem; font-weight: 600; padding: .12rem .55rem; border-radius: 99px; white-space: nowrap; background: var(--tint); color: var(--soft); }
.chip.good { background: var(--good-soft); color: var(--good); } .chip.bad { background: var(--bad-soft); color: var(--bad); }
svg.scale { width: 100%; height: auto; display: block; overflow: visible; } svg text { fill: var(--soft); font: 10px system-ui, sans-serif; }
.axis, .tick { stroke: var(--line); stroke-width: 1.5; } .enough { fill: var(--good-soft); } .asked { stroke: var(--good); stroke-width: 2; stroke-dasharray: 3 2; }
.interval { fill: var(--accent-soft); } .value { fill: var(--accent); stroke: var(--card); stroke-width: 1.5; }
svg.bar { width: 100%; height: 22px; display: block; border-radius: 6px; margin: .9rem 0 .5rem; } .lane { fill: var(--other); }
.verified { fill: var(--verified); } .composed { fill: var(--composed); } .quoted { fill: var(--quoted); } .abstain { fill: var(--abstain); } .refused { fill: var(--refused); }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .9rem; padding: 0; margin: 0; list-style: none; } .legend svg { width: 11px; height: 11px; margin-right: .4rem; }
details { margin-top: .7rem; } summary { cursor: pointer; color: var(--accent); font-size: .93rem; width: fit-content; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin-top: .5rem; } th { color: var(--soft); font-weight: 500; } td, th { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); }
td.n { font-variant-numeric: tabular-nums; white-space: nowrap; } .mini { background: var(--tint); border-radius: 4px; height: 8px; min-width: 90px; overflow: hidden; } .mini span { display: block; height: 8px; background: var(--accent); border-radius: 4px; }
.case { border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem; margin: .8rem 0; break-inside: avoid; }
.case header { display: flex; gap: .6rem; justify-content: space-between; align-items: baseline; flex-wrap: wrap; } .case header b { color: var(--bad); }
.case dl { margin: .5rem 0 0; display: grid; grid-template-columns: 6.2rem minmax(0, 1fr); gap: .45rem 1rem; } .case dt { padding-top: .12rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; } .cited { margin: 0 0 .45rem; padding-left: .8rem; border-left: 3px solid var(--line); } .cited.good { border-left-color: var(--good); } .cited .place { font-size: .86rem; color: var(--soft); display: block; }
footer { margin-top: 2.4rem; color: var(--soft); font-size: .9rem; } footer h2 { color: var(--ink); font-size: 1.05rem; margin-bottom: .4rem; } footer li { margin: .25rem 0; }
@media (max-width: 760px) { .metric { grid-template-columns: 1fr; } .case dl { grid-template-columns: 1fr; gap: .1rem; } .case dd { margin-bottom: .5rem; } main { padding-top: 1.4rem; } }
@media print { body { background: #fff; } .card, .case { border-color: #bbb; } }
";
