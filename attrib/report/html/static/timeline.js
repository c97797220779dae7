/* One step, side by side: the drawing of the page, replaced by one to zoom into. Every text goes in as text. */
(() => {
  const section = document.getElementById("timeline");
  if (!section?.dataset.styles || !document.getElementById("data") || !("DecompressionStream" in window)) return;
  const ROLES = ["torch", "onnxruntime"];
  const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
  const LONGEST = 160;
  const HOST = 34, DEVICE = 20, LABEL = 18, GAP = 62, AXIS = 22;
  const SHORTEST_VIEW = 2000;
  const FAINT = 40;
  const KEY_PAN = 0.15, KEY_ZOOM = 1.5;
  const titles = { ...JSON.parse(section.dataset.causes), several: "Several small ones" };
  const styles = JSON.parse(section.dataset.styles);
  const names = { torch: section.dataset.torch, onnxruntime: section.dataset.onnxruntime };

  function shown(text, longest = LONGEST) {
    const seen = text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
    const tail = Math.floor(longest / 3);
    return seen.length > longest ? `${seen.slice(0, longest - tail - 1)}…${seen.slice(-tail)}` : seen;
  }
  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children.map((child) => (typeof child === "string" ? shown(child) : child)));
    return element;
  }
  const SCALES = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]];
  const scaleOf = (ns) => SCALES.find(([size]) => ns >= size) ?? [1, "ns"];
  function time(ns) {
    const [size, symbol] = scaleOf(ns);
    return `${ns / size >= 999.5 ? Math.round(ns / size) : (ns / size).toPrecision(3).replace(/\.0+$/, "")} ${symbol}`;
  }
  /* Ids of the rows of the table, by place in the ledger. */
  let rowIds = new Map();
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /* The lanes with absolute times, and where each region lies in each of them. */
  function laneOf(role, lane, step, ledger) {
    const segments = [];
    let at = 0;
    lane.durations_ns.forEach((length, i) => {
      const start = at + (lane.gaps_ns?.[i] ?? 0);
      at = start + length;
      const row = ledger[lane.rows[i]];
      const item = lane.items[i];
      const count = lane.counts?.[i] ?? 1;
      segments.push({
        start, end: at, place: row ? lane.rows[i] : -1, row, item, count, busy: lane.busy_ns?.[i] ?? length,
        label: step.labels?.[lane.labels?.[i]] ?? "", part: item < 0 ? step.parts?.[-1 - item] : undefined,
        paint: row ? row.cause : item < 0 ? "framework" : "several",
        region: row && item >= 0 ? row.region : "",
      });
    });
    const regions = new Map();
    for (const segment of segments) {
      if (!segment.region) continue;
      if (!regions.has(segment.region)) regions.set(segment.region, []);
      regions.get(segment.region).push(segment);
    }
    const ends = segments.map((segment) => segment.end);
    return { role, kind: lane.kind, name: lane.name, segments, ends, regions, height: lane.kind === "host" ? HOST : DEVICE, y: 0 };
  }
  function lanesOf(report) {
    return ROLES.filter((role) => report.timeline[role]).flatMap((role, number) => {
      const step = report.timeline[role];
      const made = (step.lanes ?? []).map((lane) => laneOf(role, lane, step, report.ledger));
      const [host, device] = ["host", "device"].map((kind) => made.filter((lane) => lane.kind === kind));
      return number ? [...device, ...host] : [...host, ...device];
    });
  }
  /* Where a link to a region begins and ends: all of it where it lies close together, else its longest segment. */
  function extent(segments) {
    const start = segments[0].start;
    const end = segments.reduce((most, segment) => Math.max(most, segment.end), 0);
    const sum = segments.reduce((total, segment) => total + segment.end - segment.start, 0);
    if (sum >= (end - start) / 2) return [start, end];
    const longest = segments.reduce((one, other) => (other.end - other.start > one.end - one.start ? other : one));
    return [longest.start, longest.end];
  }
  const sums = (segments) => segments.reduce((total, segment) => total + segment.busy, 0);

  function opOf(lane, segment) {
    if (segment.count > 1) return `${segment.count} small ones`;
    if (segment.part) return segment.part;
    if (segment.label) return segment.label;
    const ops = lane.role === "torch" ? segment.row?.torch_ops : segment.row?.onnx_ops;
    return ops?.[segment.item] ?? "unknown";
  }
  function idOf(lane, segment) {
    if (segment.count > 1 || segment.part) return "";
    return (lane.role === "torch" ? segment.row?.torch_calls : segment.row?.onnx_nodes)?.[segment.item] ?? "";
  }

  function started(report) {
    const lanes = lanesOf(report);
    if (!lanes.length) return;
    const span = Math.max(...ROLES.map((role) => report.timeline[role]?.wall_ns ?? 0), 1);
    const figure = section.querySelector(".tl");
    const canvas = document.createElement("canvas");
    canvas.setAttribute("aria-hidden", "true");
    const stage = make("div", "tl-stage", canvas);
    const told = make("div", "tl-told");
    told.setAttribute("role", "status");
    const help = make("p", "tl-note");
    help.textContent = "Drag to move. Click, then turn the wheel to zoom (Ctrl and the wheel zoom anywhere). Pinch on a touch screen. Keys: arrows go from segment to segment and lane to lane, + and − zoom, Shift and arrows move, Home and End go to the ends, 0 shows the whole step, Enter opens the row.";
    help.id = "tl-help";
    const tools = make("div", "tl-tools");
    Object.assign(stage, { tabIndex: 0 });
    for (const [name, value] of Object.entries({ role: "application", "aria-label": "Timeline of one step on each side", "aria-describedby": "tl-help" })) stage.setAttribute(name, value);
    const button = (text, label, act) => {
      const made = make("button", "", text);
      made.type = "button";
      made.setAttribute("aria-label", label);
      made.addEventListener("click", act);
      tools.append(made);
    };
    const context = canvas.getContext("2d");
    let [from, to] = [0, span];
    let width = 0, colors = {}, fills = {}, waiting = false;
    let focused = null, hovered = null;

    /* Places from top to bottom: the sides face each other. */
    let y = AXIS + LABEL;
    lanes.forEach((lane, number) => {
      if (number && lanes[number - 1].role !== lane.role) y += GAP;
      lane.y = y;
      y += lane.height + LABEL;
    });
    const height = y - LABEL + 4;
    const facing = lanes.findIndex((lane) => lane.role !== lanes[0].role);
    const upper = lanes[facing - 1], lower = lanes[facing];

    const scale = () => width / (to - from);
    const xOf = (ns) => (ns - from) * scale();
    function firstAfter(lane, ns) {
      let low = 0, high = lane.ends.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (lane.ends[middle] <= ns) low = middle + 1; else high = middle;
      }
      return low;
    }

    /* Colors follow the theme; the second cause of a color is striped. */
    function theme() {
      const style = getComputedStyle(document.documentElement);
      colors = Object.fromEntries(["paper", "ink", "text", "muted", "line", "link"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      colors.font = style.getPropertyValue("--sans");
      for (const [paint, { color, hatched }] of Object.entries(styles)) {
        const solid = style.getPropertyValue(`--${color}`).trim();
        fills[paint] = hatched ? striped(solid) : solid;
      }
    }
    function striped(color) {
      const tile = document.createElement("canvas");
      tile.width = tile.height = 8;
      const ink = tile.getContext("2d");
      ink.fillStyle = color;
      ink.fillRect(0, 0, 8, 8);
      ink.strokeStyle = colors.paper;
      ink.globalAlpha = 0.6;
      ink.lineWidth = 3;
      for (const shift of [-8, 0, 8]) {
        ink.beginPath();
        ink.moveTo(shift - 2, 10);
        ink.lineTo(shift + 10, -2);
        ink.stroke();
      }
      return context.createPattern(tile, "repeat");
    }

    function ticks() {
      const rough = (to - from) / Math.max(width / 110, 2);
      const power = 10 ** Math.floor(Math.log10(rough));
      const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
      const [size, symbol] = scaleOf(step >= 1e5 ? Math.max(step, 1e6) : step);
      const digits = Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9));
      context.font = `11px ${colors.font}`;
      context.textBaseline = "alphabetic";
      for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
        const x = Math.round(xOf(at)) + 0.5;
        context.fillStyle = colors.line;
        context.fillRect(x - 0.5, AXIS - 6, 1, height);
        context.fillStyle = colors.muted;
        const text = `${(at / size).toFixed(digits)} ${symbol}`;
        context.fillText(text, clamp(x - context.measureText(text).width / 2, 0, width - context.measureText(text).width), 12);
      }
    }
    function ribbon(above, below, [a, b], [c, d], alpha, color) {
      const [x0, x1, x2, x3] = [xOf(a), Math.max(xOf(b), xOf(a) + 1), xOf(c), Math.max(xOf(d), xOf(c) + 1)];
      if (Math.max(x1, x3) < 0 || Math.min(x0, x2) > width) return;
      const top = above.y + above.height, bottom = below.y, middle = (top + bottom) / 2;
      context.globalAlpha = alpha;
      context.fillStyle = color;
      context.beginPath();
      context.moveTo(x0, top);
      context.bezierCurveTo(x0, middle, x2, middle, x2, bottom);
      context.lineTo(x3, bottom);
      context.bezierCurveTo(x3, middle, x1, middle, x1, top);
      context.fill();
      context.globalAlpha = 1;
    }
    /* Faint links between the sides, of as many of the longest regions in view as can be told apart. */
    function faintLinks() {
      if (!upper || !lower) return;
      const seen = new Map();
      for (const lane of [upper, lower]) {
        for (let i = firstAfter(lane, from); i < lane.segments.length && lane.segments[i].start < to; i += 1) {
          const { region, start, end } = lane.segments[i];
          if (!region || !upper.regions.has(region) || !lower.regions.has(region)) continue;
          seen.set(region, Math.max(seen.get(region) ?? 0, end - start));
        }
      }
      const longest = [...seen].sort(([, a], [, b]) => b - a).slice(0, FAINT);
      for (const [region] of longest) ribbon(upper, lower, extent(upper.regions.get(region)), extent(lower.regions.get(region)), 0.16, colors.muted);
    }
    /* The links of one region, from lane to lane, and the lanes that hold it. */
    function links(region) {
      const holding = lanes.filter((lane) => lane.regions.has(region));
      holding.slice(1).forEach((below, number) => {
        const above = holding[number];
        ribbon(above, below, extent(above.regions.get(region)), extent(below.regions.get(region)), 0.42, colors.link);
      });
    }
    function text(lane, segment, x, wide) {
      const room = Math.floor((wide - 8) / 6.4);
      const op = shown(opOf(lane, segment), 200).replace("aten::", "");
      if (room < Math.min(op.length, 7)) return;
      const cut = op.length > room ? `${op.slice(0, room - 1)}…` : op;
      const { hatched, color } = styles[segment.paint];
      context.fillStyle = hatched || color === "line" ? colors.ink : colors.paper;
      if (hatched) {
        context.strokeStyle = colors.paper;
        context.lineWidth = 3;
        context.lineJoin = "round";
        context.strokeText(cut, x + 4, lane.y + lane.height / 2 + 4);
      }
      context.fillText(cut, x + 4, lane.y + lane.height / 2 + 4);
    }
    function drawLane(lane, lit) {
      context.font = `11.5px ${colors.font}`;
      for (let i = firstAfter(lane, from); i < lane.segments.length && lane.segments[i].start < to; i += 1) {
        const segment = lane.segments[i];
        const left = Math.max(xOf(segment.start), -2), right = Math.min(xOf(segment.end), width + 2);
        const space = right - left > 3 ? 0.75 : 0;
        context.globalAlpha = lit && !lit(segment) ? 0.3 : 1;
        context.fillStyle = fills[segment.paint];
        context.fillRect(left, lane.y, Math.max(right - left - space, 0.35), lane.height);
        if (right - left > 28) text(lane, segment, Math.max(left, 0), right - Math.max(left, 0));
      }
      context.globalAlpha = 1;
      context.font = `12px ${colors.font}`;
      context.lineWidth = 4;
      context.lineJoin = "round";
      context.strokeStyle = colors.paper;
      context.fillStyle = colors.text;
      const label = `${shown(names[lane.role], 40)} · ${shown(lane.name, 40)}`;
      context.strokeText(label, 0, lane.y - 5);
      context.fillText(label, 0, lane.y - 5);
    }
    function outline({ lane, segment }, color, dashed) {
      const left = clamp(xOf(segment.start), -4, width + 4), right = clamp(xOf(segment.end), -4, width + 4);
      context.strokeStyle = color;
      context.lineWidth = 2;
      context.setLineDash(dashed ? [4, 3] : []);
      context.strokeRect(left - 1, lane.y - 1, Math.max(right - left, 2) + 1, lane.height + 2);
      context.setLineDash([]);
    }
    function draw() {
      waiting = false;
      const begun = performance.now();
      const ratio = window.devicePixelRatio || 1;
      if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
        canvas.width = Math.round(width * ratio);
        canvas.height = Math.round(height * ratio);
        canvas.style.width = `${width}px`;
        canvas.style.height = `${height}px`;
      }
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      ticks();
      const active = hovered ?? focused;
      const region = active?.segment.region;
      if (region) links(region); else faintLinks();
      const lit = !active ? null : region ? (segment) => segment.region === region : (segment) => segment === active.segment;
      for (const lane of lanes) drawLane(lane, lit);
      if (focused) outline(focused, colors.ink, hovered !== null && hovered.segment !== focused.segment);
      if (hovered && hovered.segment !== focused?.segment) outline(hovered, colors.ink, false);
      Object.assign(stage.dataset, {
        from: Math.round(from), to: Math.round(to), region: region ?? "",
        frames: Number(stage.dataset.frames ?? 0) + 1, drew: (performance.now() - begun).toFixed(2),
        lit: region ? lanes.reduce((total, lane) => total + (lane.regions.get(region)?.length ?? 0), 0) : 0,
      });
    }
    function redraw() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(draw);
    }

    function show(start, end) {
      const length = clamp(end - start, Math.min(SHORTEST_VIEW, span), span);
      from = clamp(start + (end - start - length) / 2, 0, span - length);
      to = from + length;
      redraw();
    }
    const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) / factor, at + (to - at) / factor);
    const pan = (ns) => {
      const start = clamp(from + ns, 0, span - (to - from));
      show(start, start + to - from);
    };
    function reveal({ segment }) {
      const length = to - from;
      if (segment.end > from && segment.start < to && segment.start >= from) return;
      const middle = (segment.start + segment.end) / 2;
      show(clamp(middle - length / 2, 0, span - length), clamp(middle - length / 2, 0, span - length) + length);
    }

    /* What is told of a segment, and of its counterparts. */
    function others(lane, region) {
      return lanes.filter((one) => one !== lane && one.regions.has(region)).map((one) => {
        const its = one.regions.get(region);
        const distinct = [...new Set(its.map((segment) => opOf(one, segment)))];
        const more = distinct.length > 4 ? ` and ${distinct.length - 4} more` : "";
        return make("p", "", `${names[one.role]} · ${one.name}: `, make("b", "", time(sums(its))), ` in ${plural(its.length, "segment")}: ${distinct.slice(0, 4).map((op) => shown(op, 60)).join(", ")}${more}`);
      });
    }
    function tell() {
      const active = hovered ?? focused;
      told.replaceChildren();
      if (!active) {
        told.append(make("p", "empty", "Point at a segment, or go to it with the keyboard, to see what it is and what it belongs to."));
        return;
      }
      const { lane, segment } = active;
      const lasts = segment.count > 1 ? `${time(segment.busy)} of ${time(segment.end - segment.start)}` : time(segment.end - segment.start);
      const head = make("p", "", make("b", "", opOf(lane, segment)), ` ${lasts}, at ${time(segment.start)} · ${names[lane.role]} · ${lane.name} · ${titles[segment.paint] ?? segment.paint}`);
      told.append(head);
      const where = [segment.row?.module, idOf(lane, segment)].filter(Boolean);
      if (where.length && !segment.part) told.append(make("p", "", ...where.flatMap((name, number) => [number ? " · " : "", make("code", "", name)])));
      if (segment.region) {
        const found = others(lane, segment.region);
        const own = lane.regions.get(segment.region);
        if (own.length > 1) told.append(make("p", "", `with ${plural(own.length - 1, "other segment")} of this region here, ${time(sums(own))} together`));
        told.append(...(found.length ? found : [make("p", "", "no counterpart in another lane")]));
      }
      if (segment.row) {
        const link = make("a", "", "its row in the table");
        link.href = hashOf(segment);
        told.append(make("p", "", link));
      }
    }

    const hashOf = (segment) => `#${rowIds.get(segment.place) ?? "row/not-shown"}`;
    function open(active) {
      if (!active?.segment.row) return;
      const hash = hashOf(active.segment);
      if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange")); else location.hash = hash;
    }

    function hover(active) {
      if (active?.segment === hovered?.segment) return;
      hovered = active;
      tell();
      redraw();
    }
    function focus(active) {
      focused = active;
      hovered = null;
      if (active) reveal(active);
      tell();
      redraw();
    }
    function at(x, top) {
      const lane = lanes.find((one) => top >= one.y - 2 && top <= one.y + one.height + 2);
      if (!lane) return null;
      const slack = 2 / scale(), ns = from + x / scale();
      const i = firstAfter(lane, ns);
      const near = [lane.segments[i], lane.segments[i - 1]].filter((segment) => segment && segment.start - slack <= ns && segment.end + slack >= ns);
      return near.length ? { lane, segment: near[0] } : null;
    }
    const nearest = (lane, ns) => lane.segments[Math.min(firstAfter(lane, ns), lane.segments.length - 1)];

    /* Pointers: one drags, two pinch, a click opens. */
    const pointers = new Map();
    let moved = 0;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      if (!pointers.size) moved = 0;
      pointers.set(event.pointerId, place(event));
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      const [x, top] = place(event);
      const before = pointers.get(event.pointerId);
      if (!before) {
        hover(at(x, top));
        return;
      }
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, [x, top]);
      moved += Math.abs(x - before[0]) + Math.abs(top - before[1]);
      if (other) {
        const [was, is] = [Math.abs(before[0] - other[0]), Math.abs(x - other[0])];
        if (was > 8 && is > 8) zoom(is / was, from + (x + other[0]) / 2 / scale());
      } else if (moved > 4) {
        pan((before[0] - x) / scale());
      }
    });
    stage.addEventListener("pointerup", (event) => {
      const alone = pointers.size === 1 && pointers.delete(event.pointerId);
      pointers.delete(event.pointerId);
      if (!alone || moved > 4) return;
      const found = at(...place(event));
      if (found && (event.pointerType === "mouse" || found.segment === focused?.segment)) open(found);
      focus(found);
    });
    stage.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
    stage.addEventListener("pointerleave", () => hover(null));
    stage.addEventListener("wheel", (event) => {
      if (!(event.ctrlKey || event.metaKey || stage.contains(document.activeElement))) return;
      event.preventDefault();
      const unit = event.deltaMode ? 24 : 1;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) * unit / scale());
      else zoom(Math.exp(-event.deltaY * unit * 0.002), from + place(event)[0] / scale());
    }, { passive: false });

    function step(by) {
      if (!focused) return focus({ lane: lanes[0], segment: nearest(lanes[0], from) });
      const { lane, segment } = focused;
      return focus({ lane, segment: lane.segments[clamp(lane.segments.indexOf(segment) + by, 0, lane.segments.length - 1)] });
    }
    /* To the next lane: to the counterpart, where it has one, else to what runs at the same time. */
    function change(by) {
      if (!focused) return step(0);
      const { lane, segment } = focused;
      const next = lanes[lanes.indexOf(lane) + by];
      if (!next?.segments.length) return undefined;
      const its = next.regions.get(segment.region);
      return focus({ lane: next, segment: its?.[0] ?? nearest(next, segment.start) });
    }
    function end(last) {
      const lane = focused?.lane ?? lanes[0];
      focus({ lane, segment: lane.segments[last ? lane.segments.length - 1 : 0] });
    }
    const middle = () => (focused ? clamp((focused.segment.start + focused.segment.end) / 2, from, to) : (from + to) / 2);
    const KEYS = {
      ArrowLeft: (event) => (event.shiftKey ? pan(-KEY_PAN * (to - from)) : step(-1)),
      ArrowRight: (event) => (event.shiftKey ? pan(KEY_PAN * (to - from)) : step(1)),
      ArrowUp: () => change(-1), ArrowDown: () => change(1),
      Home: () => end(false), End: () => end(true),
      "+": () => zoom(KEY_ZOOM, middle()), "=": () => zoom(KEY_ZOOM, middle()), "-": () => zoom(1 / KEY_ZOOM, middle()),
      0: () => show(0, span), Enter: () => open(focused), Escape: () => focus(null),
    };
    stage.addEventListener("keydown", (event) => {
      const act = event.ctrlKey || event.metaKey || event.altKey ? null : KEYS[event.key];
      if (!act) return;
      event.preventDefault();
      act(event);
    });

    button("−", "Zoom out", () => zoom(1 / KEY_ZOOM, middle()));
    button("+", "Zoom in", () => zoom(KEY_ZOOM, middle()));
    button("Whole step", "Show the whole step", () => show(0, span));
    figure.prepend(tools, stage, told);
    figure.append(help);
    figure.classList.add("live");
    theme();
    tell();
    new ResizeObserver(() => {
      width = stage.clientWidth;
      if (width) redraw();
    }).observe(stage);
    addEventListener("themechange", () => { theme(); redraw(); });
    stage.dataset.ready = "yes";
  }

  const near = new IntersectionObserver(async (seen) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    near.disconnect();
    const report = await window.attribReport.reportData();
    rowIds = (await window.attribReport.rowIds?.()) ?? rowIds;
    if (report.timeline && Object.keys(report.timeline).length) started(report);
  }, { rootMargin: "600px" });
  near.observe(section);
})();
