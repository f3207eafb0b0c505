// A registry of metrics and their Prometheus text (exposition format 0.0.4). Families and label names are fixed when
// they are made; values are counted here or pulled by a callback when somebody reads. The number of series is bounded.
// Never opens a port, never reads a clock, and is not for hot paths that worker threads share: those count in cells.

import { assert } from './failure.ts'
import type { Distribution } from './histogram.ts'

export type MetricKind = 'counter' | 'gauge' | 'histogram'
export type Labels = Readonly<Record<string, string>>

export interface Counter {
  /** @param amount not negative; 1 when left out. */
  add(amount?: number): void
}
export interface Gauge {
  set(value: number): void
}

/** What a pull callback yields: one value, or a distribution for a histogram. */
export interface Sample {
  readonly labels?: Labels
  readonly value: number | Distribution
}

export interface FamilySpec {
  /** `edge_requests_total`: component, thing, unit; counters end in `_total`. */
  readonly name: string
  /** One sentence with the unit. */
  readonly help: string
  readonly labels?: readonly string[]
}

export interface HistogramSpec extends FamilySpec {
  /** Upper bounds in the unit of the name, ascending, without +Inf. */
  readonly bounds?: readonly number[]
  /** From the recorded unit to the unit of the name: 1e-6 (microseconds to seconds) when left out. */
  readonly scale?: number
}

export interface Metrics {
  /** `counter({ name, help, labels: ['service'] })({ service: 'web' }).add()`; keep what the call gives. */
  counter(spec: FamilySpec): (labels?: Labels) => Counter
  gauge(spec: FamilySpec): (labels?: Labels) => Gauge
  /** Values that exist elsewhere: `read` is called for each text. */
  pull(kind: 'counter' | 'gauge', spec: FamilySpec, read: () => Iterable<Sample>): void
  pullHistogram(spec: HistogramSpec, read: () => Iterable<Sample>): void
  text(): string
}

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Seconds: from a fast cached answer to a minute. */
export const latencyBounds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** Series of one family; labels beyond that are counted together under `other`, so that no client can fill memory. */
const seriesMaxDefault = 10_000

interface Family {
  readonly kind: MetricKind
  readonly spec: HistogramSpec
  readonly read: () => Iterable<Sample>
}

interface Series {
  readonly labels: Labels
  value: number
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}

function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  return String(value)
}

function line(name: string, labels: Labels, extra: string, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`)
  if (extra !== '') pairs.push(extra)
  return `${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${numberText(value)}\n`
}

function histogramText(spec: HistogramSpec, labels: Labels, distribution: Distribution): string {
  const scale = spec.scale ?? 1e-6
  let text = ''
  for (const bound of spec.bounds ?? latencyBounds) {
    text += line(
      `${spec.name}_bucket`,
      labels,
      `le="${numberText(bound)}"`,
      distribution.countUpTo(bound / scale),
    )
  }
  text += line(`${spec.name}_bucket`, labels, 'le="+Inf"', distribution.count)
  text += line(`${spec.name}_sum`, labels, '', distribution.sum * scale)
  return text + line(`${spec.name}_count`, labels, '', distribution.count)
}

function familyText({ kind, spec, read }: Family): string {
  let text = `# HELP ${spec.name} ${escapeHelp(spec.help)}\n# TYPE ${spec.name} ${kind}\n`
  for (const { labels = {}, value } of read()) {
    if (typeof value !== 'number') text += histogramText(spec, labels, value)
    else text += line(spec.name, labels, '', value)
  }
  return text
}

function checkSpec(kind: MetricKind, spec: HistogramSpec): void {
  assert(
    /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(spec.name),
    `metric name ${spec.name} has letters that Prometheus refuses`,
  )
  assert(
    (kind === 'counter') === spec.name.endsWith('_total'),
    `${spec.name}: counters, and only they, end in _total`,
  )
  for (const label of spec.labels ?? []) {
    assert(
      /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) && !label.startsWith('__'),
      `${spec.name}: label name ${label}`,
    )
    assert(label !== 'le', `${spec.name}: the label le belongs to histograms`)
  }
}

/** The series of one counted family, made on first use. */
function seriesOf(
  spec: FamilySpec,
  seriesMax: number,
): { find(labels: Labels): Series; all(): Iterable<Sample> } {
  const byKey = new Map<string, Series>()
  const names = spec.labels ?? []

  function find(given: Labels): Series {
    const wrong = Object.keys(given).length !== names.length || names.some(name => given[name] === undefined)
    assert(
      !wrong,
      `${spec.name} takes the labels ${names.join(', ') || '(none)'}, not ${Object.keys(given).join(', ')}`,
    )
    const key = JSON.stringify(names.map(name => given[name]))
    const known = byKey.get(key)
    if (known) return known
    const labels = Object.fromEntries(names.map(name => [name, given[name]!]))
    if (byKey.size >= seriesMax) return find(Object.fromEntries(names.map(name => [name, 'other'])))
    const made = { labels, value: 0 }
    byKey.set(key, made)
    return made
  }

  // The shared overflow series exists from the start, so that it is always within the bound.
  if (names.length > 0) find(Object.fromEntries(names.map(name => [name, 'other'])))
  const used = (series: Series): boolean =>
    names.some(name => series.labels[name] !== 'other') || series.value !== 0
  return { find, all: () => [...byKey.values()].filter(series => names.length === 0 || used(series)) }
}

export function createMetrics(options: { seriesMax?: number } = {}): Metrics {
  const families = new Map<string, Family>()
  const seriesMax = options.seriesMax ?? seriesMaxDefault

  function add(kind: MetricKind, spec: HistogramSpec, read: () => Iterable<Sample>): void {
    checkSpec(kind, spec)
    assert(!families.has(spec.name), `the metric ${spec.name} is declared twice`)
    families.set(spec.name, { kind, spec, read })
  }

  return {
    counter: spec => {
      const series = seriesOf(spec, seriesMax)
      add('counter', spec, series.all)
      return (labels = {}) => {
        const one = series.find(labels)
        return {
          add: (amount = 1) => {
            assert(amount >= 0, `${spec.name}: a counter never falls`)
            one.value += amount
          },
        }
      }
    },
    gauge: spec => {
      const series = seriesOf(spec, seriesMax)
      add('gauge', spec, series.all)
      return (labels = {}) => {
        const one = series.find(labels)
        return {
          set: value => {
            one.value = value
          },
        }
      }
    },
    pull: add,
    pullHistogram: (spec, read) => add('histogram', spec, read),
    text: () => [...families.values()].map(familyText).join(''),
  }
}
