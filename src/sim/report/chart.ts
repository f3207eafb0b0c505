// Charts as SVG text: lines over time on one axis, with marks where something happened, and a distribution. Colours are the
// page's (`--c1` to `--c6`). Pure: numbers in, text out.

export interface Line {
  readonly label: string
  /** One a step; null: nothing was seen. */
  readonly values: readonly (number | null)[]
}

export interface Mark {
  /** 0..1 of the time axis. */
  readonly at: number
  readonly title: string
}

export interface TimeChart {
  readonly title: string
  readonly lines: readonly Line[]
  readonly marks: readonly Mark[]
  readonly format: (value: number) => string
  readonly timeFormat: (share: number) => string
  /** A logarithmic axis, for what spans decades. */
  readonly logarithmic?: boolean
  /** Top of the axis at least so high. */
  readonly atLeast?: number
}

const width = 760
const height = 190
const left = 70
const right = 12
const top = 14
const bottom = 26
const innerWidth = width - left - right
const innerHeight = height - top - bottom

export function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`)
}

interface Scale {
  readonly y: (value: number) => number
  readonly ticks: readonly number[]
}

export function timeChart(chart: TimeChart): string {
  const seen = chart.lines.flatMap(({ values }) => values.filter(value => value !== null))
  if (seen.length === 0) return ''
  const scale = chart.logarithmic ? decades(seen) : linear(Math.max(chart.atLeast ?? 0, ...seen))
  const grid = scale.ticks.map(
    tick =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${digits(scale.y(tick))}" y2="${digits(scale.y(tick))}"/><text class="tick" x="${left - 6}" y="${digits(scale.y(tick) + 4)}" text-anchor="end">${escapeText(chart.format(tick))}</text>`,
  )
  const times = [0, 0.25, 0.5, 0.75, 1].map(
    share =>
      `<text class="tick" x="${digits(left + share * innerWidth)}" y="${height - 8}" text-anchor="${share === 0 ? 'start' : share === 1 ? 'end' : 'middle'}">${escapeText(chart.timeFormat(share))}</text>`,
  )
  const marks = chart.marks.map(({ at, title }) => {
    const x = digits(left + Math.min(1, Math.max(0, at)) * innerWidth)
    return `<line class="mark" x1="${x}" x2="${x}" y1="${top}" y2="${top + innerHeight}"><title>${escapeText(title)}</title></line>`
  })
  const lines = chart.lines.map(
    ({ label, values }, index) =>
      `<path class="line" style="stroke:var(--c${(index % 6) + 1})" d="${path(values, scale)}"><title>${escapeText(label)}</title></path>`,
  )
  const legend = chart.lines
    .map(
      ({ label }, index) =>
        `<span><i style="background:var(--c${(index % 6) + 1})"></i>${escapeText(label)}</span>`,
    )
    .join('')
  return `<figure><figcaption><b>${escapeText(chart.title)}</b> ${legend}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeText(chart.title)}">${grid.join('')}${times.join('')}${marks.join('')}${lines.join('')}</svg></figure>`
}

function path(values: Line['values'], { y }: Scale): string {
  const step = innerWidth / Math.max(1, values.length - 1)
  let text = ''
  let pen = false
  for (const [at, value] of values.entries()) {
    if (value === null) {
      pen = false
      continue
    }
    text += `${pen ? 'L' : 'M'}${digits(left + at * step)} ${digits(y(value))}`
    pen = true
  }
  // A point alone is a short stroke.
  return text.replace(/M([\d.]+) ([\d.]+)(?=M|$)/g, 'M$1 $2h1')
}

function linear(most: number): Scale {
  const high = most > 0 ? niceAbove(most) : 1
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(share => share * high)
  return { ticks, y: value => top + innerHeight * (1 - Math.min(value, high) / high) }
}

function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 4, 6, 8, 10].find(one => one * power >= value) ?? 10) * power
}

function decades(seen: readonly number[]): Scale {
  const positive = seen.filter(value => value > 0)
  const low = Math.floor(Math.log10(Math.max(1e-9, Math.min(...positive, 1e12))))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive, 1e-9))))
  const ticks = Array.from({ length: high - low + 1 }, (_, at) => 10 ** (low + at))
  return {
    ticks,
    y: value => top + innerHeight * (1 - (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)),
  }
}

/** Share of values beyond each latency: both axes logarithmic, the slow end stretched. */
export function tailChart(
  title: string,
  curves: readonly {
    readonly label: string
    readonly points: readonly (readonly [bound: number, share: number])[]
  }[],
  format: (value: number) => string,
): string {
  const bounds = curves.flatMap(({ points }) => points.map(([bound]) => bound)).filter(bound => bound > 0)
  if (bounds.length === 0) return ''
  const low = Math.log10(Math.min(...bounds))
  const high = Math.max(low + 0.3, Math.log10(Math.max(...bounds)))
  const x = (bound: number): number =>
    left + (innerWidth * (Math.log10(Math.max(bound, 10 ** low)) - low)) / (high - low)
  const y = (share: number): number =>
    top + (innerHeight * Math.min(4, -Math.log10(Math.max(1e-4, 1 - share)))) / 4
  const ticks = [0, 0.9, 0.99, 0.999, 0.9999]
  const grid = ticks.map(
    share =>
      `<line class="grid" x1="${left}" x2="${width - right}" y1="${digits(y(share))}" y2="${digits(y(share))}"/><text class="tick" x="${left - 6}" y="${digits(y(share) + 4)}" text-anchor="end">${share * 100} %</text>`,
  )
  const columns = [0, 1, 2, 3, 4].map(part => {
    const bound = 10 ** (low + ((high - low) * part) / 4)
    return `<text class="tick" x="${digits(x(bound))}" y="${height - 8}" text-anchor="${part === 0 ? 'start' : part === 4 ? 'end' : 'middle'}">${escapeText(format(bound))}</text>`
  })
  const lines = curves.map(
    ({ label, points }, index) =>
      `<path class="line" style="stroke:var(--c${(index % 6) + 1})" d="${points.map(([bound, share], at) => `${at === 0 ? 'M' : 'L'}${digits(x(bound))} ${digits(y(share))}`).join('')}"><title>${escapeText(label)}</title></path>`,
  )
  const legend = curves
    .map(
      ({ label }, index) =>
        `<span><i style="background:var(--c${(index % 6) + 1})"></i>${escapeText(label)}</span>`,
    )
    .join('')
  return `<figure><figcaption><b>${escapeText(title)}</b> ${legend}</figcaption><svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeText(title)}">${grid.join('')}${columns.join('')}${lines.join('')}</svg></figure>`
}

function digits(value: number): string {
  return String(Math.round(value * 10) / 10)
}
