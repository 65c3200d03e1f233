"""The report's looks: system fonts, light or dark as the reader's system is, status colours that survive colour blindness
(Okabe and Ito 2008)."""

CSS = """
:root { color-scheme: light dark; --page:#fbfbfa; --card:#ffffff; --ink:#1c1e21; --soft:#646a73; --rule:#e3e4e6; --accent:#0b62b0;
  --passed:#0072b2; --wrong:#d98e00; --rejected:#d55e00; --crashed:#b8578f; --build:#8b9098; --timed:#3f9ed8; --win:#0a7d55; --loss:#c2410c;
  --added:#e4f5ea; --removed:#fdeaea; --code:#f4f5f6; }
@media (prefers-color-scheme: dark) { :root { --page:#14161a; --card:#1b1e23; --ink:#e6e8eb; --soft:#9aa1ab; --rule:#31353c; --accent:#6db3f2;
  --passed:#4fa8e0; --wrong:#e8a93a; --rejected:#f0804a; --crashed:#d58bb8; --build:#878d96; --timed:#8accf5; --win:#4cc597; --loss:#f0804a;
  --added:#143524; --removed:#43201f; --code:#14161a; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--page); color:var(--ink); font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif; }
main { max-width:1240px; margin:0 auto; padding:28px 24px 60px; }
h1 { font-size:21px; margin:0; font-weight:600; overflow-wrap:anywhere; } h2 { font-size:15px; margin:0 0 10px; font-weight:600; }
h2 small, .soft { color:var(--soft); font-weight:400; font-size:13px; }
header { margin-bottom:20px; } header p { margin:4px 0 0; color:var(--soft); } header p.headline { color:var(--ink); }
table + h2 { margin-top:16px; }
.headline { font-size:44px; line-height:1.15; font-weight:650; letter-spacing:-.02em; } header p.headline { margin:14px 0 0; } .headline small { font-size:16px; color:var(--soft); font-weight:400; letter-spacing:0; }
.grid { display:grid; grid-template-columns:repeat(2,minmax(0,1fr)); gap:16px; } .wide { grid-column:1/-1; }
@media (max-width:860px) { .grid { grid-template-columns:minmax(0,1fr); } main { padding:18px 12px; } }
section { background:var(--card); border:1px solid var(--rule); border-radius:8px; padding:16px 18px; min-width:0; }
.tiles { display:flex; flex-wrap:wrap; gap:10px 34px; margin-top:16px; } .tiles div { font-size:17px; } .tiles span { display:block; font-size:12px; color:var(--soft); }
.pill { display:inline-block; border-radius:20px; padding:1px 10px; font-size:12.5px; border:1px solid currentColor; font-weight:500; vertical-align:2px; }
.c-passed { color:var(--win); } .c-wrong,.c-timed_out { color:var(--wrong); } .c-rejected,.c-crashed,.c-build_failed { color:var(--loss); }
table { border-collapse:collapse; width:100%; font-size:13px; font-variant-numeric:tabular-nums; } th { text-align:left; color:var(--soft); font-weight:500; }
td,th { padding:3px 12px 3px 0; border-bottom:1px solid var(--rule); vertical-align:top; overflow-wrap:anywhere; } tr:last-child td { border-bottom:0; } td.n,th.n { text-align:right; white-space:nowrap; }
b.changed { font-weight:600; color:var(--accent); } td.key { white-space:nowrap; color:var(--soft); width:1%; } tr.chosen td { font-weight:600; }
.scroll { overflow:auto; max-height:520px; } code,pre { font:12.5px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace; }
pre { margin:0; background:var(--code); border-radius:6px; padding:10px 12px; overflow:auto; max-height:560px; tab-size:4; } pre span { display:block; min-height:1.5em; }
.add { background:var(--added); } .del { background:var(--removed); } .at { color:var(--soft); } summary { cursor:pointer; color:var(--accent); font-size:13.5px; padding:4px 0; }
svg { display:block; max-width:100%; height:auto; overflow:visible; } .scroll > svg { max-width:none; } svg text { font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif; fill:var(--ink); font-variant-numeric:tabular-nums; }
svg .tick, svg .label { fill:var(--soft); } svg .value { font-weight:600; } 
svg line.grid { stroke:var(--rule); } svg line.axis { stroke:var(--soft); } svg line.unit { stroke:var(--soft); stroke-dasharray:4 4; } svg line.gap { stroke:var(--loss); stroke-dasharray:3 3; stroke-width:1.5; }
svg path { fill:none; } svg path.best { stroke:var(--ink); stroke-width:2; stroke-linejoin:round; } svg path.roof { stroke:var(--ink); stroke-width:2; }
svg path.edge { stroke:var(--rule); stroke-width:1.3; } svg path.edge.strong { stroke:var(--accent); stroke-width:2.2; }
svg .s-passed { fill:var(--passed); } svg .s-wrong { fill:var(--wrong); } svg .s-rejected { fill:var(--rejected); } svg .s-crashed { fill:var(--crashed); } svg .s-build_failed { fill:var(--build); } svg .s-timed_out { fill:var(--timed); }
svg .chosen { stroke:var(--ink); stroke-width:2.5; } svg .faint { fill:var(--soft); opacity:.45; } svg .winner { fill:var(--accent); stroke:var(--card); stroke-width:1.5; }
svg .win { fill:var(--win); stroke:var(--win); } svg .loss { fill:var(--loss); stroke:var(--loss); } svg .even { fill:var(--soft); stroke:var(--soft); } svg .whisker { stroke-width:3; stroke-linecap:round; opacity:.55; }
svg .bar { stroke:var(--rule); stroke-width:14; } svg .bar.reached { stroke:var(--accent); }
.legend { display:flex; flex-wrap:wrap; gap:4px 16px; font-size:12.5px; color:var(--soft); margin-top:8px; } .legend svg { display:inline-block; width:10px; vertical-align:-1px; margin-right:5px; }
"""
