// Copyright 2026 The AXPO-on-verl Authors
// SPDX-License-Identifier: Apache-2.0
// The list of trajectories with its filters, and what is shown of one. Texts only ever become text nodes.
"use strict";

const Page = (() => {
  const ROW = 28, KEPT = 30;  // px of a row; files of bodies in memory
  const VERDICTS = [["✗", "wrong"], ["✓", "right"], ["⚠", "infrastructure failure"]];
  const ROLES = ["rollout", "source", "continuation", "recovered source"];
  const $ = (id) => document.getElementById(id);
  let index, shown = [], picked = -1, filters = {}, other = {};  // other: model -> entry shown beside the picked one
  const bodies = new Map(), waiting = new Map();

  // ------------------------------------------------------------------ elements

  // Control characters become visible signs; a lone surrogate is no character.
  const visible = (text) => String(text)
    .replace(/[\x00-\x08\x0b-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\x7f-\x9f]/g, "\u2421").replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd").toWellFormed();

  function make(tag, classes, ...children) {
    const element = document.createElement(tag);
    if (classes) element.className = classes;
    for (const child of children.flat()) {
      if (child !== null && child !== undefined) element.append(child instanceof Node ? child : visible(child));
    }
    return element;
  }

  function folded(title, classes, ...children) {
    return make("details", classes, make("summary", "dim", title), ...children);
  }

  // -------------------------------------------------------------------- filters

  function select(name, label, options, value = "") {
    const box = make("select", "");
    box.name = name;
    for (const [key, text] of options) {
      const option = make("option", "", text);
      option.value = key;
      box.append(option);
    }
    box.value = value;
    $("filters").append(make("label", "", label, box));
  }

  function buildFilters() {
    const all = ["", "all"], training = index.kind === "training";
    const groups = index.groups.map((name, i) => [String(i), name]);
    if (index.models.length > 1) {
      select("m", "model", [all, ...index.models.map((name, i) => [String(i), name])]);
      select("differ", "question", [all, ["1", "the models differ"], ["0", `only ${index.models[0]} is right`],
        ["2", `only ${index.models[1]} is right`]]);
    }
    select("g", training ? "step" : "benchmark", [all, ...groups], training ? groups.at(-1)[0] : "");
    if (training) select("r", "role", [all, ...ROLES.map((name, i) => [String(i), name])]);
    select("v", "verdict", [all, ...VERDICTS.map(([, name], i) => [String(i), name])]);
    select("c", "tool", [all, ["1", "called"], ["0", "not called"]]);
    select("sort", "order", [["", "by question"], ["c", "most calls"], ["t", "longest"]]);
    const search = make("input", "");
    Object.assign(search, {name: "search", type: "search", placeholder: "question id"});
    $("filters").append(make("label", "", "search", search), make("span", "", ""), make("span", "dim", "j / k: next, previous"));
    $("filters").querySelector("span").id = "count";
    $("filters").addEventListener("input", filter);
    $("filters").addEventListener("submit", (event) => event.preventDefault());
  }

  // Return a function: entry -> the numbers of right samples that the two models have on its question.
  function differences() {
    const right = new Map(), key = (i) => index.g[i] * index.questions.length + index.q[i];
    for (let i = 0; i < index.q.length; i++) {
      if (!right.has(key(i))) right.set(key(i), [0, 0]);
      right.get(key(i))[index.m[i]] += index.v[i] === 1;
    }
    return (i) => right.get(key(i));
  }

  function filter() {
    for (const field of $("filters").elements) filters[field.name] = field.value;
    const {m, g, r, v, c, differ, sort} = filters, search = filters.search.trim().toLowerCase();
    const found = index.questions.map((name) => name.toLowerCase().includes(search));
    const rights = differ ? differences() : null;
    const differs = (i) => {
      const [a, b] = rights(i);
      return differ === "1" ? a !== b : differ === "0" ? a > 0 && b === 0 : b > 0 && a === 0;
    };
    shown = [];
    for (let i = 0; i < index.q.length; i++) {
      if (m && index.m[i] !== +m || g && index.g[i] !== +g || v && index.v[i] !== +v) continue;
      if (r && index.r[i] !== +r && !(r === "1" && index.r[i] === 3) || c && (index.c[i] > 0) !== (c === "1")) continue;
      if (found[index.q[i]] && (!differ || differs(i))) shown.push(i);
    }
    if (sort) shown.sort((a, b) => index[sort][b] - index[sort][a] || a - b);
    $("count").textContent = `${shown.length.toLocaleString("en")} of ${index.q.length.toLocaleString("en")}`;
    $("rows").style.height = `${shown.length * ROW}px`;
    $("list").scrollTop = 0;
    pick(shown.includes(picked) ? picked : shown[0] ?? -1);
  }

  // ----------------------------------------------------------------------- list

  function row(place) {
    const i = shown[place], [sign, name] = VERDICTS[index.v[i]];
    const verdict = make("span", `v${index.v[i]}`, sign);
    verdict.title = name;
    const group = filters.g ? "" : `${index.groups[index.g[i]]} `;
    const number = `${index.models.length > 1 ? "AB"[index.m[i]] : ""}#${index.n[i]}`;
    const role = index.r[i] ? `${["", "↳ source", "continuation", "↳ recovered"][index.r[i]]} ` : "";
    const element = make("div", `row r${index.r[i]}${i === picked ? " picked" : ""}`, verdict,
      make("span", "name", make("bdi", "", group + index.questions[index.q[i]])),
      make("span", "small", `${role}${number} · ${index.c[i] ? `${index.c[i]} call${index.c[i] > 1 ? "s" : ""}` : "no tool"}`));
    element.style.top = `${place * ROW}px`;
    element.dataset.entry = i;
    return element;
  }

  function drawList() {
    const list = $("list"), first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
    const rows = [];
    for (let place = first; place < last; place++) rows.push(row(place));
    $("rows").replaceChildren(...rows);
  }

  function pick(i) {
    if (i !== picked) other = {};
    picked = i;
    const place = shown.indexOf(i), list = $("list");
    if (place >= 0) {
      if (place * ROW < list.scrollTop) list.scrollTop = place * ROW;
      const below = (place + 1) * ROW - list.clientHeight;
      if (below > list.scrollTop) list.scrollTop = below;
    }
    drawList();
    show();
  }

  function move(by) {
    const place = shown.indexOf(picked) + by;
    if (place >= 0 && place < shown.length) pick(shown[place]);
  }

  // --------------------------------------------------------------------- bodies

  function fileOf(i) {
    let low = 0, high = index.chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (index.chunks[middle] <= i) low = middle; else high = middle - 1;
    }
    return low;
  }

  function load(number) {
    if (bodies.has(number)) return Promise.resolve(bodies.get(number));
    if (!waiting.has(number)) {
      const script = make("script", "");
      const promise = new Promise((resolve, reject) => {
        script.onload = () => resolve(bodies.get(number));
        script.onerror = () => reject(new Error(`data/${number}.js cannot be read`));
      });
      waiting.set(number, promise.finally(() => { waiting.delete(number); script.remove(); }));
      script.src = `data/${number}.js`;
      document.head.append(script);
    }
    return waiting.get(number);
  }

  function chunk(number, prompts, rows) {
    bodies.set(number, rows.map(([prompt, body]) => ({...body, prompt: prompts[prompt]})));
    if (bodies.size > KEPT) bodies.delete(bodies.keys().next().value);
  }

  // ----------------------------------------------------------------- trajectory

  async function show() {
    const detail = $("detail"), i = picked;
    if (i < 0) return detail.replaceChildren("No trajectory matches.");
    let first = i, last = i;
    const same = (j) => index.q[j] === index.q[i] && index.g[j] === index.g[i];
    while (first > 0 && same(first - 1)) first--;
    while (last + 1 < index.q.length && same(last + 1)) last++;
    const number = fileOf(i);
    let loaded;
    try {
      loaded = await load(number);
    } catch (error) {
      return detail.replaceChildren(error.message);
    }
    if (i !== picked) return;
    const body = (j) => loaded[j - index.chunks[number]];
    const columns = index.models.map((name, model) => {
      const entries = [];
      for (let j = first; j <= last; j++) if (index.m[j] === model) entries.push(j);
      const alike = entries.find((j) => index.n[j] === index.n[i]) ?? entries[0];
      const chosen = index.m[i] === model ? i : other[model] ?? alike;
      return column(name, entries, chosen, body);
    });
    const truth = body(i).truth;
    detail.replaceChildren(
      make("h2", "", `${index.kind === "training" ? "step " : ""}${index.groups[index.g[i]]} · ${index.questions[index.q[i]]}`),
      make("div", "dim", "correct answer: ", make("b", "truth", typeof truth === "string" ? truth : JSON.stringify(truth))),
      make("div", "columns", columns));
    detail.scrollTop = 0;
  }

  function choose(j) {
    if (index.m[j] === index.m[picked]) return pick(j);
    other[index.m[j]] = j;
    show();
  }

  function column(name, entries, chosen, body) {
    const head = index.models.length > 1 ? make("h3", "", name) : null;
    if (!entries.length) return make("section", "", head, make("p", "dim", "It has no trajectory of this question."));
    const map = index.kind === "training" ? tree(entries, chosen, body) : samples(entries, chosen);
    return make("section", "", head, map, trajectory(chosen, body(chosen)));
  }

  function button(j, chosen, ...children) {
    const [sign, name] = VERDICTS[index.v[j]], verdict = make("span", `v${index.v[j]}`, sign);
    verdict.title = name;
    const element = make("button", j === chosen ? "picked" : "", verdict, ...children);
    element.type = "button";
    element.dataset.entry = j;
    element.addEventListener("click", () => choose(j));
    return element;
  }

  const samples = (entries, chosen) =>
    make("div", "chips", entries.map((j) => button(j, chosen, ` #${index.n[j]}`, index.c[j] ? " ⚒" : "")));

  // The rollouts of a question; under a source its frozen prefix, and under that what was sampled from it.
  function tree(entries, chosen, body) {
    const node = (j, label, ...more) => {
      const {reward, advantage, brief} = body(j);
      const gain = advantage === null ? null : make("span", "dim", `advantage ${advantage}`);
      return button(j, chosen, make("b", "", `${label} ${index.n[j]}`), make("span", "dim", `reward ${reward}`), gain, ...more,
        make("span", "brief", brief));
    };
    const items = [];
    for (const j of entries) {
      if (index.r[j] === 2) continue;
      const source = index.r[j] === 1 || index.r[j] === 3;
      const {recovery, confidence, fork} = body(j);
      const gained = source ? make("span", index.r[j] === 3 ? "v1" : "v0", `prefix's reward ${recovery}`) : null;
      const item = make("li", "", node(j, source ? "source" : "rollout", gained));
      if (source) {
        const below = entries.filter((k) => index.r[k] === 2 && body(k).source === index.n[j]);
        const told = `↳ frozen prefix: ${fork.tokens} tokens, turn ${fork.turn}, confidence ${confidence}\n`;
        item.append(make("div", "prefix", make("span", "dim", told), fork.text),
          make("ul", "", below.map((k) => make("li", "", node(k, "continuation")))));
      }
      items.push(item);
    }
    return make("ul", "tree", items);
  }

  function trajectory(i, body) {
    const [sign, verdict] = VERDICTS[index.v[i]];
    const answer = body.answer === null || body.answer === undefined ? "none" : body.answer;
    const facts = make("div", "facts", make("b", `v${index.v[i]}`, `${sign} ${verdict}`),
      make("span", "", "answer: ", make("b", "extracted", typeof answer === "string" ? answer : JSON.stringify(answer))),
      body.facts.map(([name, value]) => make("span", "", `${name} `, make("b", "", value))));
    const result = make("div", "trajectory", facts);
    if (body.error) result.append(make("p", "v2", body.error));
    if (body.unshaded) result.append(make("p", "dim", "This dump does not say which text carries loss."));
    else if (index.kind === "training") result.append(make("p", "dim", make("span", "l1", "shaded"), ": text that carries loss"));
    const turns = [...body.prompt, ...body.t], blocks = turns.flatMap((turn) => turn.b);
    const world = {body, calls: blocks.filter((block) => block.k === "call"), images: blocks.filter((block) => block.k === "image")};
    for (const {by, b} of turns) {
      const shownBlocks = b.map((block) => drawBlock(block, world));
      if (by === "system") result.append(make("div", "turn", folded("system", "", shownBlocks)));
      else if (b.every((block) => block.k === "mark")) result.append(make("div", "turn bare", shownBlocks));
      else result.append(make("div", `turn ${by === "model" ? "model" : ""}`, make("div", "by", by), shownBlocks));
    }
    if (body.details) result.append(folded("what the scorer says", "", make("pre", "text", body.details)));
    return result;
  }

  const pieces = (block) => (block.p ?? []).map(([text, loss]) => make("span", loss === undefined ? "" : `l${loss}`, text));
  const lossOf = (block) => block.p?.[0]?.[1] === undefined ? "" : `l${block.p[0][1]}`;

  function drawBlock(block, world) {
    const text = (block.p ?? []).map((piece) => piece[0]).join("");
    switch (block.k) {
      case "think": return text.trim() ? folded(["thinking ", make("span", lossOf(block), `${text.length} characters`)], "think", make("div", "text", pieces(block))) : null;
      case "call": return drawCall(block, world);
      case "answer": return make("div", `answer ${lossOf(block)}`, text);
      case "mark": return make("span", "mark", pieces({p: block.p.map(([part, ...loss]) => [part.trimEnd(), ...loss])}));
      case "image": return drawImage(block.n, world);
      case "fork": return make("div", "fork", "↳ fork: the frozen prefix ends here");
      default: return text.trim() ? make("div", "text", pieces({p: trimmed(block.p)})) : null;
    }
  }

  // Drop the blank lines around a text.
  function trimmed(parts) {
    const found = parts.map((part) => [...part]);
    found[0][0] = found[0][0].replace(/^\s*\n/, "");
    found.at(-1)[0] = found.at(-1)[0].trimEnd();
    return found;
  }

  function drawCall(block, world) {
    const place = world.calls.indexOf(block), records = world.body.calls ?? [];
    const record = records.length === world.calls.length ? records[place] : null;
    const state = record === null ? null : make("span", record.ok ? "dim" : "v0",
      `  ${record.ok ? "ok" : `failed: ${record.kind ?? "unknown"}`}${record.seconds === undefined ? "" : `, ${record.seconds.toFixed(2)} s`}`);
    const head = make("div", "", make("b", "", `${place + 1}. ${block.name ?? "unreadable call"}`), state);
    if (block.arguments === undefined) return make("div", `call ${lossOf(block)}`, head, pieces(block));
    const values = JSON.parse(block.arguments);
    const plain = values === null || typeof values !== "object";
    const lines = plain ? block.arguments : Object.entries(values).map(([key, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return make("div", "", make("span", "key", `${key}: `), text.includes("\n") ? make("code", "", text) : text);
    });
    return make("div", `call ${lossOf(block)}`, head, lines);
  }

  // --------------------------------------------------------------------- images

  // Where an image's pixels are: [number of an image with a file, box in it], or null. A region may be one of a region.
  function origin(number, world) {
    if (world.body.images[number]) return [number, 0, 0, 1000, 1000];
    const region = world.images[number]?.region;
    if (!region || region[0] >= number) return null;
    const within = origin(region[0], world);
    if (!within) return null;
    const [file, left, top, right, bottom] = within, [, x1, y1, x2, y2] = region;
    const x = (value) => left + value * (right - left) / 1000, y = (value) => top + value * (bottom - top) / 1000;
    return [file, x(x1), y(y1), x(x2), y(y2)];
  }

  function drawImage(number, world) {
    const place = origin(number, world);
    const boxes = world.calls.map((call, i) => [call.box, i + 1]).filter(([box]) => box?.[0] === number);
    const caption = make("figcaption", "", `image ${number}`);
    if (!place) return make("figure", "image", make("figcaption", "", `image ${number}: the page has no file of it`));
    const address = `images/${encodeURIComponent(world.body.images[place[0]])}`;
    const frame = make("div", "frame");
    const image = make("img", "");
    image.loading = "lazy";
    image.alt = `image ${number}`;
    if (place[0] === number) {
      frame.append(image);
    } else {
      image.onload = () => crop(frame, image, place);
      image.loading = "eager";  // It is not in the document.
      caption.append(" (cut out of the image here)");
    }
    image.src = address;
    for (const [[, x1, y1, x2, y2], label] of boxes) {
      const box = make("div", "box", make("span", "", String(label)));
      Object.assign(box.style, {left: `${x1 / 10}%`, top: `${y1 / 10}%`, width: `${(x2 - x1) / 10}%`, height: `${(y2 - y1) / 10}%`});
      frame.append(box);
    }
    return make("figure", "image", frame, caption);
  }

  function crop(frame, image, [, x1, y1, x2, y2]) {
    const space = "http://www.w3.org/2000/svg", width = image.naturalWidth, height = image.naturalHeight;
    const picture = document.createElementNS(space, "svg"), inner = document.createElementNS(space, "image");
    const [w, h] = [(x2 - x1) * width / 1000, (y2 - y1) * height / 1000], scale = 240 / Math.max(w, h);
    const set = (element, values) => Object.entries(values).forEach(([key, value]) => element.setAttribute(key, value));
    set(picture, {viewBox: `${x1 * width / 1000} ${y1 * height / 1000} ${w} ${h}`, width: w * scale, height: h * scale});
    set(inner, {href: image.src, width, height});
    picture.append(inner);
    frame.prepend(picture);
  }

  // ---------------------------------------------------------------------- start

  function start(columns) {
    index = columns;
    buildFilters();
    $("list").addEventListener("scroll", drawList);
    window.addEventListener("resize", drawList);
    $("rows").addEventListener("click", (event) => {
      const element = event.target.closest(".row");
      if (element) pick(+element.dataset.entry);
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
      if (event.key === "j") move(1);
      if (event.key === "k") move(-1);
    });
    filter();
    document.body.dataset.ready = performance.now().toFixed(0);
  }

  return {index: start, chunk};
})();
