// A strict reader of Prometheus' text format (exposition format 0.0.4), written from its description: what it accepts,
// Prometheus does. It also holds the naming conventions and what must be true of a histogram. Throws a sentence.

export interface MetricSample {
  /** With `_bucket`, `_sum` or `_count` for those of a histogram. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricFamily {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly samples: readonly MetricSample[]
}

const familyName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/
const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(,|$)/
/** Units that have a base unit which should be used instead. */
const otherUnits = /_(milliseconds|microseconds|ms|us|minutes|hours|kilobytes|megabytes|kb|mb|percent)(_|$)/

/** Families in their order; each must be declared once, in one block, before its samples. */
export function readExposition(text: string): Map<string, MetricFamily> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no line feed')
  const families = new Map<string, { -readonly [K in keyof MetricFamily]: MetricFamily[K] }>()
  const seen = new Set<string>()
  let open: MetricFamily | null = null
  for (const line of text.split('\n').slice(0, -1)) {
    const help = /^# HELP (\S+) (.+)$/.exec(line)
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line)
    if (help !== null) {
      const name = help[1] as string
      if (families.has(name)) throw new Error(`${name} is declared twice`)
      if (!familyName.test(name)) throw new Error(`${name} is no name of a metric`)
      families.set(name, { name, type: 'gauge', help: help[2] as string, samples: [] })
      open = null
    } else if (type !== null) {
      const family = families.get(type[1] as string)
      if (family === undefined || family.samples.length > 0) throw new Error(`out of place: ${line}`)
      family.type = type[2] as MetricFamily['type']
      open = family
    } else {
      if (open === null) throw new Error(`a sample outside of its family: ${line}`)
      addSample(open, line, seen)
    }
  }
  for (const family of families.values()) checkFamily(family)
  return families
}

function addSample(family: MetricFamily, line: string, seen: Set<string>): void {
  const match = sampleLine.exec(line)
  if (match === null) throw new Error(`not a sample: ${line}`)
  const [, name = '', labelText = '', valueText = ''] = match
  const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (!suffixes.some(suffix => name === family.name + suffix))
    throw new Error(`${name} stands among the samples of ${family.name}`)
  const labels = labelsOf(labelText, line)
  const key = `${name} ${JSON.stringify(Object.entries(labels).sort())}`
  if (seen.has(key)) throw new Error(`twice: ${line}`)
  seen.add(key)
  ;(family.samples as MetricSample[]).push({ name, labels, value: numberOf(valueText, line) })
}

function labelsOf(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const match = label.exec(rest)
    if (match === null) throw new Error(`labels: ${line}`)
    const [whole, name = '', value = '', comma] = match
    if (name in labels || name.startsWith('__')) throw new Error(`label ${name}: ${line}`)
    labels[name] = value.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    rest = rest.slice(whole.length)
    if (comma === ',' && rest === '') throw new Error(`a comma at the end: ${line}`)
  }
  return labels
}

function numberOf(text: string, line: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY
  if (text === '-Inf') return Number.NEGATIVE_INFINITY
  if (text === 'NaN') return Number.NaN
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(text)) throw new Error(`value: ${line}`)
  return Number(text)
}

function checkFamily(family: MetricFamily): void {
  const { name, type, samples } = family
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`)
  if (/_(bucket|sum|count|info_total)$/.test(name))
    throw new Error(`${name} ends like a part of another metric`)
  const unit = otherUnits.exec(name)
  if (unit !== null) throw new Error(`${name}: ${unit[1]} is not a base unit`)
  if (type === 'histogram' && !/_(seconds|bytes)$/.test(name)) throw new Error(`${name} has no unit`)
  const sets = new Set(
    samples.map(one =>
      Object.keys(one.labels)
        .filter(key => key !== 'le')
        .sort()
        .join(),
    ),
  )
  if (sets.size > 1) throw new Error(`${name} has samples with different labels`)
  if (type !== 'gauge' && samples.some(one => !(one.value >= 0))) throw new Error(`${name} is below zero`)
  if (type === 'histogram') checkHistogram(name, samples)
}

function checkHistogram(name: string, samples: readonly MetricSample[]): void {
  const series = new Map<string, MetricSample[]>()
  for (const one of samples) {
    const { le: _, ...others } = one.labels
    const key = JSON.stringify(Object.entries(others).sort())
    const known = series.get(key)
    if (known === undefined) series.set(key, [one])
    else known.push(one)
  }
  for (const [key, parts] of series) {
    const buckets = parts.filter(one => one.name === `${name}_bucket`)
    const bounds = buckets.map(one => numberOf(one.labels.le ?? 'none', `${name} ${key}`))
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY) throw new Error(`${name} ${key} does not end in +Inf`)
    if (bounds.some((bound, i) => i > 0 && !(bound > (bounds[i - 1] as number))))
      throw new Error(`${name} ${key}: bounds do not rise`)
    if (buckets.some((one, i) => i > 0 && one.value < (buckets[i - 1] as MetricSample).value))
      throw new Error(`${name} ${key}: buckets are not cumulative`)
    const count = parts.filter(one => one.name === `${name}_count`)
    const sum = parts.filter(one => one.name === `${name}_sum`)
    if (count.length !== 1 || sum.length !== 1) throw new Error(`${name} ${key}: _sum and _count, once each`)
    if (count[0]?.value !== buckets.at(-1)?.value)
      throw new Error(`${name} ${key}: _count is not the +Inf bucket`)
  }
}

/** The one sample with exactly these labels. */
export function sampleOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''))
  const wanted = JSON.stringify(Object.entries(labels).sort())
  const found = family?.samples.find(
    one => one.name === name && JSON.stringify(Object.entries(one.labels).sort()) === wanted,
  )
  if (found === undefined) throw new Error(`there is no ${name} ${wanted}`)
  return found.value
}
