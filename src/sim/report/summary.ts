// A result as a page for the terminal: the verdict first, then what clients saw, what the parts did, what happened and why.
// Lines only; whoever prints them knows widths and colours.

import type {
  ConsistencyResult,
  DecisionResult,
  ExpectationResult,
  PartResult,
  Series,
  SimulationResult,
  TrafficResult,
} from '../result.ts'
import { digits, grouped, shareText, timeText, timeWithin } from './figures.ts'

export interface SummaryOptions {
  /** Characters of a line; at least 60. */
  readonly width: number
  readonly paint: (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow', text: string) => string
  /** At most so many entries of the timeline. */
  readonly decisionsMax: number
}

const bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

export function summaryLines(result: SimulationResult, options: SummaryOptions): string[] {
  const { paint } = options
  return [
    headline(result, options),
    ...result.unstable.map(({ why }) => paint('red', `  unstable: ${why}.`)),
    '',
    ...table(trafficRows(result.traffic)),
    '',
    ...table(partRows(result.parts)),
    ...saturation(result),
    ...section('', result.consistency.flatMap(consistencyLines)),
    ...section('', charts(result, options)),
    ...section(paint('bold', 'What happened'), timeline(result, options)),
    ...section(
      paint('bold', 'Expected'),
      result.expectations.map(one => expectationLine(one, options)),
    ),
    ...section(
      '',
      result.remarks.map(remark => paint('dim', `note: ${remark}`)),
    ),
    '',
    paint(
      'dim',
      `seed ${result.seed} · ${grouped(result.events)} events, ${grouped(result.draws)} draws · hash ${result.hash}`,
    ),
  ]
}

function section(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  return ['', ...(title === '' ? [] : [title]), ...lines]
}

function headline(result: SimulationResult, { paint }: SummaryOptions): string {
  const failed = result.expectations.filter(({ verdict }) => verdict === 'failed').length
  const verdict =
    result.unstable.length > 0
      ? paint('red', 'unstable')
      : failed > 0
        ? paint('red', `${failed} of ${result.expectations.length} expectations failed`)
        : result.expectations.length > 0
          ? paint('green', 'as expected')
          : 'played through'
  return `${paint('bold', `${result.system} · ${result.rehearsal}`)}  ${verdict}  ${paint('dim', methodText(result))}`
}

/** `10 min, every request`. */
export function methodText({ method, durationUs, warmupUs }: SimulationResult): string {
  const time = `${timeText(durationUs)} after ${timeText(warmupUs)} of warm-up`
  if (method.kind === 'events') return `${time}, every request`
  if (method.kind === 'sampled') return `${time}, one in ${method.k} of users and instances`
  return `${time}, fluid: rates in steps of ${timeText(method.stepUs)}, no single requests`
}

function trafficRows(traffic: readonly TrafficResult[]): string[][] {
  const rows = traffic.filter(
    ({ id, arrived }, at) => at === 0 || (traffic.length > 2 && arrived >= 0 && id !== ''),
  )
  return [
    ['', 'arrived', 'answered/s', 'errors', 'mean', 'p50', 'p99', 'p99.9'],
    ...rows.map(({ id, arrived, throughput, errorShare, latency }) => [
      id === 'system' ? 'all' : id,
      grouped(arrived),
      digits(throughput.value),
      shareText(errorShare.value),
      ...(latency === null
        ? ['-', '-', '-', '-']
        : [latency.mean, latency.p50, latency.p99, latency.p999].map(timeWithin)),
    ]),
  ]
}

function partRows(parts: readonly PartResult[]): string[][] {
  return [
    ['', 'members', 'busy', '', 'inside', 'waiting', 'counts'],
    ...parts.map(part => [
      part.id,
      part.membersMin === part.membersMax ? `${part.members}` : `${part.membersMin}-${part.membersMax}`,
      part.utilisation === null ? '' : shareText(part.utilisation.value),
      part.utilisation === null ? '' : bar(part.utilisation.value),
      digits(part.inside.value),
      part.waitingMax === 0 ? '' : `${digits(part.waiting.value)} (most ${grouped(part.waitingMax)})`,
      [
        ...(part.hitRatio === null ? [] : [`hits ${shareText(part.hitRatio.value)}`]),
        ...Object.entries(part.counts)
          .filter(([name, count]) => count > 0 && name !== 'hits' && name !== 'misses')
          .map(([name, count]) => `${grouped(count)} ${name}`),
      ].join(', '),
    ]),
  ]
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, share) * 10)
  return '█'.repeat(filled) + '░'.repeat(10 - filled)
}

function saturation({ parts }: SimulationResult): string[] {
  const full = parts.filter(({ saturatedAtUs }) => saturatedAtUs !== null)
  const first = full.sort((a, b) => (a.saturatedAtUs ?? 0) - (b.saturatedAtUs ?? 0))[0]
  if (first === undefined) return []
  return [`first full: ${first.id}, ${timeText(first.saturatedAtUs ?? 0)} after the warm-up`]
}

function consistencyLines(one: ConsistencyResult): string[] {
  const lines = [
    `${one.database} (${one.topology}): ${grouped(one.reads)} reads, ${grouped(one.staleReads)} stale${one.staleReads > 0 ? ` by ${timeText(one.staleP50Us)} (most ${timeText(one.staleMaxUs)})` : ''}; ${grouped(one.writes)} writes, ${grouped(one.lostWrites)} lost, ${grouped(one.conflicts)} in conflict`,
  ]
  if (one.refusedReads + one.refusedWrites > 0)
    lines.push(`  refused: ${grouped(one.refusedReads)} reads, ${grouped(one.refusedWrites)} writes`)
  if (one.writeGapMaxUs > 0) lines.push(`  longest time without a write: ${timeText(one.writeGapMaxUs)}`)
  if (one.propagationP50Us !== null && one.propagationP99Us !== null)
    lines.push(
      `  a commit is everywhere after ${timeText(one.propagationP50Us)} (p99 ${timeText(one.propagationP99Us)})`,
    )
  return lines
}

/** Series that say most, as a line each. */
function charts({ series }: SimulationResult, { width }: SummaryOptions): string[] {
  const shown = series.filter(
    ({ id, values }) =>
      id === 'system.arrivals' ||
      id === 'system.p99' ||
      id === 'system.errors' ||
      (id.endsWith('.instances') && varies(values)),
  )
  return shown.flatMap(line => {
    const text = spark(line, Math.max(20, Math.min(60, width - 46)))
    return text === null ? [] : [text]
  })
}

function varies(values: Series['values']): boolean {
  return values.some(value => value !== values[0])
}

function spark({ label, unit, values }: Series, columns: number): string | null {
  const per = Math.max(1, Math.ceil(values.length / columns))
  const heights: (number | null)[] = []
  for (let at = 0; at < values.length; at += per) {
    const seen = values.slice(at, at + per).filter(value => value !== null)
    heights.push(seen.length === 0 ? null : Math.max(...seen))
  }
  const most = Math.max(0, ...heights.filter(height => height !== null))
  if (most === 0) return null
  const drawn = heights.map(height =>
    height === null ? ' ' : (bars[Math.min(7, Math.floor((height / most) * 7.999))] ?? ' '),
  )
  return `${label.padEnd(26).slice(0, 26)} ${drawn.join('')} ${valueText(most, unit)}`
}

function valueText(value: number, unit: Series['unit']): string {
  if (unit === 'us') return timeText(value)
  if (unit === 'share') return shareText(value)
  return unit === 'per second' ? `${digits(value)}/s` : digits(value)
}

function timeline({ decisions, decisionsLeftOut }: SimulationResult, options: SummaryOptions): string[] {
  const shown = decisions.filter(({ atUs }) => atUs >= 0).slice(0, options.decisionsMax)
  const lines = shown.map(decisionLine)
  const more = decisions.length - shown.length + decisionsLeftOut
  return more > 0 && shown.length === options.decisionsMax
    ? [...lines, options.paint('dim', `  ... ${grouped(more)} more (--json, --html)`)]
    : lines
}

/** `  2 min      web-2      dies: killed by the rehearsal`. */
export function decisionLine({ atUs, part, what, why }: DecisionResult): string {
  return `  ${timeText(Math.max(0, atUs)).padEnd(9)} ${part.padEnd(12)} ${what}${why === '' ? '' : `: ${why}`}`
}

function expectationLine(
  { text, value, unit, verdict, why }: ExpectationResult,
  { paint }: SummaryOptions,
): string {
  const mark =
    verdict === 'met'
      ? paint('green', 'met   ')
      : verdict === 'failed'
        ? paint('red', 'failed')
        : paint('yellow', 'unsure')
  return `  ${mark}  ${text.padEnd(28)} ${value === null ? '-' : expectedText(value, unit)}${verdict === 'met' ? '' : `  ${why}`}`
}

function expectedText(value: number, unit: ExpectationResult['unit']): string {
  if (unit === 'ms') return timeText(value * 1000)
  if (unit === 'share') return shareText(value)
  return unit === 'per second' ? `${digits(value)}/s` : digits(value)
}

function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map(row => [...(row[column] ?? '')].length)),
  )
  return rows.map(row =>
    row
      .map((cell, column) =>
        column === 0 || column === row.length - 1
          ? cell.padEnd(widths[column] ?? 0)
          : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}
