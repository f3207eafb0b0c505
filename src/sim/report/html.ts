// Results as one page: nothing is loaded from anywhere, light and dark, a filter for the timeline. What is shown is escaped:
// names come from files.

import type {
  ConsistencyResult,
  DecisionResult,
  ExpectationResult,
  PartResult,
  Series,
  SimulationResult,
  TrafficResult,
} from '../result.ts'
import { escapeText, type Mark, tailChart, timeChart } from './chart.ts'
import { digits, grouped, shareText, timeText, timeWithin } from './figures.ts'
import { methodText } from './summary.ts'

const style = `:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#667;--line:#dde1e6;--card:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;--c1:#2266cc;--c2:#d9480f;--c3:#2b8a3e;--c4:#862e9c;--c5:#0b7285;--c6:#a61e4d}
@media(prefers-color-scheme:dark){:root{--bg:#0f1419;--fg:#e6e9ee;--dim:#9aa4b2;--line:#2a323c;--card:#171d24;--good:#3fb950;--bad:#ff7b72;--warn:#d29922;--c1:#6ea8fe;--c2:#ffa94d;--c3:#69db7c;--c4:#da77f2;--c5:#3bc9db;--c6:#f783ac}}
*{box-sizing:border-box}body{margin:0 auto;max-width:1080px;padding:24px 20px 60px;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 10px}header{border-bottom:1px solid var(--line);padding-bottom:14px;margin:28px 0 6px}
.badge{display:inline-block;border-radius:6px;padding:2px 10px;font-weight:600;color:#fff;background:var(--good)}.badge.bad{background:var(--bad)}.badge.plain{background:var(--dim)}
.method{color:var(--dim)}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th{font-weight:500;color:var(--dim);text-align:right;padding:3px 10px}td{text-align:right;padding:3px 10px;border-top:1px solid var(--line);white-space:nowrap}td.text{white-space:normal}th:first-child,td:first-child,.text{text-align:left!important}
.scroll{overflow-x:auto}figure{margin:18px 0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 12px}figcaption span{margin-left:14px;color:var(--dim)}figcaption i{display:inline-block;width:12px;height:3px;vertical-align:middle;margin-right:5px}svg{width:100%;height:auto;display:block}
.grid{stroke:var(--line)}.tick{fill:var(--dim);font-size:11px}.line{fill:none;stroke-width:1.6;stroke-linejoin:round}.mark{stroke:var(--bad);stroke-dasharray:3 3;opacity:.7}
.bar{display:inline-block;width:90px;height:8px;background:var(--line);border-radius:4px;overflow:hidden;vertical-align:middle}.bar i{display:block;height:100%;background:var(--c1)}.bar i.full{background:var(--bad)}
.met{color:var(--good)}.failed{color:var(--bad)}.unsure{color:var(--warn)}input{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px;padding:4px 10px;width:260px}code{background:var(--card);padding:2px 6px;border-radius:4px}.dim{color:var(--dim)}`

const script = `for(const field of document.querySelectorAll('input[data-filter]'))field.addEventListener('input',()=>{const wanted=field.value.toLowerCase();for(const row of document.getElementById(field.dataset.filter).tBodies[0].rows)row.hidden=!row.textContent.toLowerCase().includes(wanted)})`

/** @param command what plays it again: `tenfold simulate blackFriday --seed 1` */
export function htmlReport(
  results: readonly SimulationResult[],
  command: (result: SimulationResult) => string,
): string {
  const title = results.map(({ system, rehearsal }) => `${system} · ${rehearsal}`).join(', ')
  const body = results.map((result, at) => one(result, at, command(result))).join('\n')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escapeText(title)}</title><style>${style}</style></head>
<body>
${body}
<script>${script}</script>
</body></html>
`
}

function one(result: SimulationResult, at: number, command: string): string {
  const marks = faultMarks(result)
  return [
    `<header><h1>${escapeText(`${result.system} · ${result.rehearsal}`)}</h1><p>${verdict(result)} <span class="method">${escapeText(methodText(result))}</span></p></header>`,
    ...result.unstable.map(({ why }) => `<p class="failed"><b>Unstable:</b> ${escapeText(why)}.</p>`),
    ...expectations(result.expectations),
    '<h2>What clients saw</h2>',
    traffic(result.traffic),
    tail(result.traffic),
    charts(result, marks),
    '<h2>What the parts did</h2>',
    parts(result.parts),
    ...consistency(result.consistency),
    ...timeline(result, at),
    ...(result.remarks.length === 0
      ? []
      : ['<h2>To know</h2><ul>', ...result.remarks.map(remark => `<li>${escapeText(remark)}</li>`), '</ul>']),
    `<p class="dim">Again: <code>${escapeText(command)}</code> · seed ${result.seed} · ${grouped(result.events)} events, ${grouped(result.draws)} draws · hash ${result.hash} · ± is half of a 95 % interval, from ${result.batches} batches</p>`,
  ].join('\n')
}

function verdict({ unstable, expectations: all }: SimulationResult): string {
  const failed = all.filter(one => one.verdict === 'failed').length
  if (unstable.length > 0) return '<span class="badge bad">unstable</span>'
  if (failed > 0) return `<span class="badge bad">${failed} of ${all.length} expectations failed</span>`
  return all.length > 0
    ? '<span class="badge">as expected</span>'
    : '<span class="badge plain">played through</span>'
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  id = '',
  textColumns: readonly number[] = [],
): string {
  const mark = (column: number): string => (textColumns.includes(column) ? ' class="text"' : '')
  const titles = head.map((cell, column) => `<th${mark(column)}>${cell}</th>`).join('')
  const lines = rows.map(
    row => `<tr>${row.map((cell, column) => `<td${mark(column)}>${cell}</td>`).join('')}</tr>`,
  )
  return `<div class="scroll"><table${id === '' ? '' : ` id="${id}"`}><thead><tr>${titles}</tr></thead><tbody>${lines.join('')}</tbody></table></div>`
}

function expectations(all: readonly ExpectationResult[]): string[] {
  if (all.length === 0) return []
  const rows = all.map(({ text, value, unit, verdict: how, why }) => [
    escapeText(text),
    value === null ? '-' : figure(value, unit),
    `<b class="${how}">${how}</b>`,
    escapeText(how === 'met' ? '' : why),
  ])
  return ['<h2>Expected</h2>', table(['', 'came out', '', ''], rows, '', [3])]
}

function figure(value: number, unit: ExpectationResult['unit']): string {
  if (unit === 'ms') return timeText(value * 1000)
  if (unit === 'share') return shareText(value)
  return unit === 'per second' ? `${digits(value)}/s` : digits(value)
}

function traffic(rows: readonly TrafficResult[]): string {
  return table(
    [
      '',
      'arrived',
      'answered/s',
      'failed',
      'refused',
      'given up',
      'errors',
      'mean',
      'p50',
      'p90',
      'p99',
      'p99.9',
      'retries',
    ],
    rows.map(one => [
      escapeText(one.id === 'system' ? 'all' : one.id),
      grouped(one.arrived),
      digits(one.throughput.value),
      grouped(one.failed),
      grouped(one.refused),
      grouped(one.abandoned),
      shareText(one.errorShare.value),
      ...(one.latency === null
        ? ['-', '-', '-', '-', '-']
        : [one.latency.mean, one.latency.p50, one.latency.p90, one.latency.p99, one.latency.p999].map(
            timeWithin,
          )),
      grouped(one.edgeRetries + one.hedges + one.clientRetries),
    ]),
  )
}

function tail(rows: readonly TrafficResult[]): string {
  const curves = rows.flatMap(({ id, latency }) =>
    latency === null ? [] : [{ label: id === 'system' ? 'all' : id, points: latency.curve }],
  )
  return tailChart('How many are answered within which time', curves.slice(0, 6), timeText)
}

function faultMarks({ decisions, durationUs }: SimulationResult): Mark[] {
  return decisions
    .filter(({ kind, atUs }) => kind === 'fault' && atUs >= 0)
    .slice(0, 60)
    .map(({ atUs, part, what }) => ({ at: atUs / durationUs, title: `${timeText(atUs)}: ${part} ${what}` }))
}

/** Which series share a chart. */
const groups: readonly {
  readonly title: string
  readonly of: (id: string) => boolean
  readonly logarithmic?: boolean
  readonly atLeast?: number
}[] = [
  { title: 'Requests', of: id => ['system.arrivals', 'system.throughput', 'system.errors'].includes(id) },
  { title: 'Latency', of: id => id === 'system.p50' || id === 'system.p99', logarithmic: true },
  { title: 'Cores busy', of: id => id.endsWith('.utilisation'), atLeast: 1 },
  { title: 'Instances and copies', of: id => id.endsWith('.instances') || id.endsWith('.alive') },
  { title: 'Waiting', of: id => id.endsWith('.waiting') },
  { title: 'Replicas behind', of: id => id.endsWith('.behind'), logarithmic: true },
  { title: 'Things in caches', of: id => id.endsWith('.entries') },
]

function charts({ series, durationUs }: SimulationResult, marks: readonly Mark[]): string {
  const drawn = groups.map(({ title, of, logarithmic, atLeast }) => {
    const chosen = series.filter(({ id }) => of(id)).slice(0, 6)
    if (chosen.every(({ values }) => values.every(value => value === null || value === 0))) return ''
    const unit = chosen[0]?.unit ?? 'count'
    return timeChart({
      title,
      lines: chosen.map(({ label, values }) => ({ label, values })),
      marks,
      format: value => valueText(value, unit),
      timeFormat: share => timeText(share * durationUs),
      ...(logarithmic ? { logarithmic } : {}),
      ...(atLeast === undefined ? {} : { atLeast }),
    })
  })
  return `<h2>Over time</h2>${drawn.join('')}`
}

function valueText(value: number, unit: Series['unit']): string {
  if (unit === 'us') return timeText(value)
  if (unit === 'share') return shareText(value)
  return unit === 'per second' ? `${digits(value)}/s` : digits(value)
}

function parts(all: readonly PartResult[]): string {
  return table(
    ['', 'members', 'busy', '', 'inside', 'waiting', 'full from', 'counts'],
    all.map(part => [
      escapeText(part.id),
      part.membersMin === part.membersMax ? `${part.members}` : `${part.membersMin} to ${part.membersMax}`,
      part.utilisation === null ? '' : shareText(part.utilisation.value),
      part.utilisation === null ? '' : bar(part.utilisation.value),
      digits(part.inside.value),
      part.waitingMax === 0 ? '' : `${digits(part.waiting.value)}, most ${grouped(part.waitingMax)}`,
      part.saturatedAtUs === null ? '' : timeText(part.saturatedAtUs),
      escapeText(
        [
          ...(part.hitRatio === null ? [] : [`hits ${shareText(part.hitRatio.value)}`]),
          ...Object.entries(part.counts)
            .filter(([, count]) => count > 0)
            .map(([name, count]) => `${grouped(count)} ${name}`),
        ].join(', '),
      ),
    ]),
    '',
    [7],
  )
}

function bar(share: number): string {
  const width = Math.round(Math.min(1, Math.max(0, share)) * 100)
  return `<span class="bar"><i${share > 0.95 ? ' class="full"' : ''} style="width:${width}%"></i></span>`
}

function consistency(all: readonly ConsistencyResult[]): string[] {
  if (all.length === 0) return []
  const rows = all.map(one => [
    escapeText(one.database),
    escapeText(one.topology),
    grouped(one.reads),
    one.staleReads === 0 ? '0' : `${grouped(one.staleReads)} by ${timeText(one.staleP50Us)}`,
    grouped(one.writes),
    grouped(one.lostWrites),
    grouped(one.conflicts),
    `${grouped(one.refusedReads)} / ${grouped(one.refusedWrites)}`,
    one.propagationP99Us === null ? '' : timeText(one.propagationP99Us),
    one.writeGapMaxUs === 0 ? '' : timeText(one.writeGapMaxUs),
  ])
  const head = [
    '',
    'copies',
    'reads',
    'stale',
    'writes',
    'lost',
    'conflicts',
    'refused (r/w)',
    'everywhere (p99)',
    'no write for',
  ]
  return ['<h2>What the data did</h2>', table(head, rows, '', [1])]
}

function timeline({ decisions, decisionsLeftOut }: SimulationResult, at: number): string[] {
  const shown = decisions.filter(({ atUs }) => atUs >= 0)
  if (shown.length === 0) return []
  const rows = shown.map(({ atUs, part, kind, what, why }: DecisionResult) =>
    [timeText(atUs), part, kind, what, why].map(escapeText),
  )
  const left =
    decisionsLeftOut === 0 ? '' : ` <span class="dim">${grouped(decisionsLeftOut)} more were left out</span>`
  return [
    `<h2>What happened, and why</h2><p><input data-filter="t${at}" placeholder="api-1, failover, ..." aria-label="Filter">${left}</p>`,
    table(['at', 'part', 'kind', 'what', 'why'], rows, `t${at}`, [1, 2, 3, 4]),
  ]
}
