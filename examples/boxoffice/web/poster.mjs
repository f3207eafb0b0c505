// A poster for each film, drawn from its title, year and genre: no picture files, and the same film looks the same.

import { html } from './html.mjs'

function numbersOf(text) {
  let state = 2166136261
  for (const letter of text) state = Math.imul(state ^ letter.codePointAt(0), 16777619)
  return limit => {
    state = Math.imul(state ^ (state >>> 15), 2246822507)
    state ^= state >>> 13
    return (state >>> 0) % limit
  }
}

const range = count => Array.from({ length: count }, (_, index) => index)

const scenes = {
  Action: next =>
    range(7).map(
      i =>
        html`<path d="M${-40 + i * 50} 300 L${40 + i * 50 + next(30)} 0 h14 L${-10 + i * 50} 300Z" opacity=".${2 + next(5)}"/>`,
    ),
  Adventure: next =>
    html`<circle cx="${60 + next(90)}" cy="${70 + next(30)}" r="34" opacity=".9"/><path d="M0 210 L60 ${120 + next(40)} L105 190 L150 ${100 + next(50)} L210 215 V300 H0Z" opacity=".45"/><path d="M0 250 L80 ${190 + next(30)} L130 240 L210 ${180 + next(40)} V300 H0Z" opacity=".7"/>`,
  Horror: next =>
    html`<circle cx="${70 + next(60)}" cy="${90 + next(30)}" r="62" opacity=".55"/>${range(9).map(i => html`<path d="M${i * 24} 300 q${6 + next(8)} ${-60 - next(110)} 14 ${-70 - next(90)} q-2 70 6 ${140 + next(40)}Z" opacity=".5"/>`)}`,
  Western: next =>
    html`<circle cx="105" cy="190" r="${64 + next(16)}" opacity=".75"/><path d="M0 215 h40 v-38 h26 v38 h58 v-60 h40 v60 h46 v85 H0Z" opacity=".6"/>`,
  Musical: next =>
    range(5).map(
      i =>
        html`<circle cx="${20 + i * 42}" cy="${110 + next(110)}" r="13" opacity=".8"/><path d="M${32 + i * 42} ${60 + next(30)} v120" stroke="currentColor" stroke-width="4" opacity=".6"/>`,
    ),
  Comedy: next =>
    range(14).map(
      () => html`<circle cx="${next(210)}" cy="${next(250)}" r="${8 + next(34)}" opacity=".${2 + next(4)}"/>`,
    ),
  Drama: next =>
    range(6).map(
      i =>
        html`<rect x="${i * 36}" y="${60 + next(120)}" width="${18 + next(30)}" height="260" opacity=".${2 + next(4)}"/>`,
    ),
  'Thriller/Suspense': next =>
    range(8).map(
      i =>
        html`<circle cx="${80 + next(40)}" cy="${120 + next(30)}" r="${14 + i * 18}" fill="none" stroke="currentColor" stroke-width="${3 + next(5)}" opacity=".5"/>`,
    ),
}
scenes['Romantic Comedy'] = next =>
  range(5).map(
    () =>
      html`<path transform="translate(${next(170)} ${30 + next(180)}) scale(${(8 + next(14)) / 10})" d="M16 28 C-10 8 4 -8 16 6 C28 -8 42 8 16 28Z" opacity=".${4 + next(5)}"/>`,
  )
scenes['Black Comedy'] = scenes.Comedy
scenes['Concert/Performance'] = scenes.Musical
scenes.Documentary = scenes.Drama

/** Words into at most five lines of about thirteen letters. */
function linesOf(title) {
  const lines = ['']
  for (const word of title.split(/\s+/)) {
    const longer = `${lines.at(-1)} ${word}`.trim()
    if (longer.length <= 13 || lines.at(-1) === '') lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines.length <= 5 ? lines : [...lines.slice(0, 4), `${lines[4]} …`]
}

export function poster(film) {
  const next = numbersOf(film.id)
  const hue = next(360)
  const lines = linesOf(film.title)
  const longest = Math.max(...lines.map(line => line.length), 8)
  const size = Math.min(27, Math.floor(285 / longest))
  const top = 268 - lines.length * size * 1.08
  const scene = (scenes[film.genre] ?? scenes.Comedy)(next)
  const id = `g-${film.id}`
  return html`<svg class="poster" viewBox="0 0 210 300" role="img" aria-label="Poster of ${film.title}" preserveAspectRatio="xMidYMid slice">
<defs><linearGradient id="${id}" x1="0" y1="0" x2=".4" y2="1"><stop offset="0" stop-color="hsl(${hue} 62% 46%)"/><stop offset="1" stop-color="hsl(${(hue + 40 + next(50)) % 360} 55% 16%)"/></linearGradient>
<linearGradient id="${id}-s" x1="0" y1="0" x2="0" y2="1"><stop offset=".35" stop-color="#000" stop-opacity="0"/><stop offset="1" stop-color="#000" stop-opacity=".82"/></linearGradient></defs>
<rect width="210" height="300" fill="url(#${id})"/><g fill="currentColor" style="color:hsl(${(hue + 150 + next(60)) % 360} 70% 72%)">${scene}</g>
<rect width="210" height="300" fill="url(#${id}-s)"/>
<text x="15" y="28" class="poster-year">${film.year ?? ''}</text>
<g class="poster-title" font-size="${size}">${lines.map((line, index) => html`<text x="15" y="${Math.round(top + (index + 1) * size * 1.08)}">${line}</text>`)}</g>
<text x="15" y="287" class="poster-genre">${film.genre.toUpperCase()}</text></svg>`
}
