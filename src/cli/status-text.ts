// A system's status as text for people: what listens where, what serves, and why whatever does not serve does not. Pure
// but for the terminal's colours.

import { stripVTControlCharacters } from 'node:util'
import { bytesText, durationText } from '../kit/duration.ts'
import type { MemberView, PlacesView, ServiceView, StatusView, SystemEvent } from '../system/index.ts'
import { databaseLines, routerLines } from './database-text.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

type Paint = Terminal['paint']
const decisionsShown = 5

export function statusText(status: StatusView, terminal: Pick<Terminal, 'paint' | 'columns'>): string {
  const paint: Paint = (style, text) => terminal.paint(style, text)
  return [
    ...headLines(status, paint),
    '',
    ...listenerLines(status, paint),
    ...cacheLines(status, paint),
    '',
    ...certificateLines(status, paint),
    ...canaryLines(status, paint),
    ...status.services.flatMap(service => [...serviceLines(service, paint, terminal.columns), '']),
    ...routerLines(status.router, terminal),
    ...status.databases.flatMap(database => [...databaseLines(database, terminal), '']),
    ...decisionLines(status.decisions.slice(-decisionsShown), paint),
  ]
    .join('\n')
    .trimEnd()
}

function headLines(status: StatusView, paint: Paint): string[] {
  const state = status.ready ? paint('green', 'ready') : paint('yellow', `${status.state}, not ready`)
  const lines = [
    `${paint('bold', status.name)}  ${state}  up ${durationText(status.uptimeMs)}  process ${status.pid}  tenfold ${status.tenfold}`,
    `${paint('dim', 'file')}     ${status.file}${status.environment === null ? '' : ` (${status.environment})`}${status.watching ? ', watched' : ''}`,
    `${paint('dim', 'control')}  ${status.controlUrl}    ${paint('dim', 'services run as')} ${status.runsAs}`,
  ]
  for (const missing of status.waitingFor) lines.push(`${paint('yellow', 'waiting')}  ${missing}`)
  for (const warning of status.warnings) lines.push(`${paint('yellow', 'warning')}  ${warning}`)
  if (status.maintenance !== null) {
    const { at, allow } = status.maintenance
    const but = allow === null || allow.length === 0 ? '' : ` but ${allow.join(', ')}`
    lines.push(`${paint('yellow', 'maintenance')}  since ${clockText(at)}: every client${but} gets a page`)
  }
  if (status.standDown !== null) {
    const { at, reason } = status.standDown
    lines.push(
      `${paint('yellow', 'stands down')}  since ${clockText(at)}: ${reason} (\`tenfold standup\` ends it)`,
    )
  }
  if (status.lastReload?.outcome === 'refused') {
    lines.push(
      `${paint('red', 'reload')}   refused at ${clockText(status.lastReload.at)}: ${status.lastReload.text}`,
    )
  }
  return lines
}

function listenerLines({ edge }: StatusView, paint: Paint): string[] {
  const connections = edge.workers.reduce((sum, worker) => sum + worker.connections, 0)
  const exchanges = edge.workers.reduce((sum, worker) => sum + worker.exchanges, 0)
  const workers = `${edge.workers.length} worker${edge.workers.length === 1 ? '' : 's'}`
  const restarts = edge.restarts === 0 ? '' : `, ${edge.restarts} restarts`
  const what =
    edge.state === 'running'
      ? `process ${edge.pid ?? '?'}, ${workers}, ${connections} connections, ${exchanges} requests in flight${restarts}`
      : edge.reason
  const style = edge.state === 'running' ? 'green' : 'red'
  const leaving = edge.leaving.map(
    pid => `  ${paint('yellow', `process ${pid} takes nothing new and drains`)}`,
  )
  const idLength = Math.max(0, ...edge.listeners.map(listener => listener.id.length))
  return [
    `${paint('bold', 'edge')}  ${paint(style, edge.state)}  ${what}`,
    ...leaving,
    ...edge.listeners.map(listener => `  ${listener.id.padEnd(idLength)}  ${paint('cyan', listener.url)}`),
  ]
}

function cacheLines({ edge: { cache } }: StatusView, paint: Paint): string[] {
  if (cache === null) return []
  const { entries, bytes, bytesMax, hitRatio } = cache
  const hits = hitRatio === null ? 'no request yet' : `${percentText(hitRatio)} hits`
  return [
    `  ${paint('bold', 'cache')}  ${hits}, ${entries} answers, ${bytesText(bytes)} of ${bytesText(bytesMax)}`,
  ]
}

/** One decimal: 99.5 % and 100 % are not alike. */
export function percentText(share: number): string {
  return `${(Math.floor(share * 1000) / 10).toFixed(1)} %`
}

const acmeStyles = { valid: 'green', issuing: 'yellow', waiting: 'yellow', failed: 'red' } as const

const daysLeftFew = 14

function certificateLines({ acme, edge }: StatusView, paint: Paint): string[] {
  const served = edge.certificates.map(({ hosts, file, source, daysLeft, problem }) => {
    const left = paint(daysLeft < daysLeftFew ? 'red' : 'green', daysText(daysLeft))
    const how = source === 'file' ? '' : `  ${source}`
    const trouble = problem === '' ? '' : `  ${paint('red', problem)}`
    return `  ${hosts.join(', ')}  ${left}${how}  ${file}${trouble}`
  })
  if (acme.length + served.length === 0) return []
  const lines = acme.map(({ host, state, text, validUntil, nextTryAt }) => {
    const left = validUntil === null ? 'none yet' : daysText(daysUntil(validUntil))
    const next = state === 'issuing' ? '' : `, next ${nextTryAt.slice(0, 16).replace('T', ' ')} UTC`
    return `  ${host}  ${paint(acmeStyles[state], state)}  ${left}${next}: ${text}`
  })
  return [paint('bold', 'certificates'), ...served, ...lines, '']
}

const daysUntil = (at: string): number => Math.floor((Date.parse(at) - Date.now()) / 86_400_000)

function daysText(days: number): string {
  return days < 0 ? 'expired' : `${days} day${days === 1 ? '' : 's'} left`
}

function canaryLines({ edge }: StatusView, paint: Paint): string[] {
  if (edge.canaries.length === 0) return []
  const lines = edge.canaries.map(({ route, upstream, share, state, reason, outSince }) => {
    const since = outSince === null ? '' : ` since ${clockText(outSince)}`
    const word = paint(state === 'running' ? 'green' : 'red', state)
    return `  ${route}  ${share * 100}% to ${upstream}  ${word}${since}  ${reason}`
  })
  return [paint('bold', 'canaries'), ...lines, '']
}

const memberColumns: readonly Column[] = [
  { title: 'MEMBER' },
  { title: 'STATE' },
  { title: 'TRAFFIC' },
  { title: 'ADDRESS' },
  { title: 'PID', align: 'right' },
  { title: 'UP', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'CPU', align: 'right' },
  { title: 'MEMORY', align: 'right' },
  { title: 'REQUESTS', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'ACTIVE', align: 'right' },
  { title: 'LATENCY', align: 'right' },
  { title: 'WHY' },
]

function serviceLines(service: ServiceView, paint: Paint, columns: number): string[] {
  const { instances } = service
  const count =
    instances === null
      ? `${service.members.length} addresses`
      : `${instances.ready} of ${instances.wanted} ready (min ${instances.min}, max ${instances.max})`
  const short = instances !== null && instances.ready < instances.wanted
  const mode = service.mode === 'normal' ? '' : `  ${paint('yellow', service.mode)}`
  const pending = service.pending === 0 ? '' : `  ${service.pending} pending`
  const head = `${paint('bold', service.name)}  ${short ? paint('yellow', count) : count}  ${service.balance}${mode}${pending}`
  const { places } = service
  const limited = places === null ? [] : [`  ${placesText(places)}`]
  const scaling = service.scaling === null ? [] : [`  ${paint('dim', `scales: ${service.scaling}`)}`]
  const trouble = service.trouble === '' ? [] : [`  ${paint('yellow', service.trouble)}`]
  if (service.members.length === 0)
    return [head, ...limited, ...scaling, ...trouble, `  ${paint('yellow', 'no members')}`]
  const rows = service.members.map(member => memberCells(member, paint))
  const [titles, ...lines] = tableLines(memberColumns, rows)
  return [
    head,
    ...limited,
    ...scaling,
    ...trouble,
    `  ${paint('dim', titles as string)}`,
    ...lines.map((line, index) => `  ${cutWhy(line, rows[index] ?? [], columns - 2)}`),
  ]
}

/** `limit 31 (raised to 31: latency 12 ms)  28 used  wait 4 ms  shed 120 sheddable, 3 normal`. */
function placesText({ limit, used, reason, waitMs, shed }: PlacesView): string {
  const refused = Object.entries(shed).flatMap(([name, count]) => (count > 0 ? [`${count} ${name}`] : []))
  const wait = waitMs < 1 ? '' : `  wait ${Math.round(waitMs)} ms`
  return `limit ${limit} (${reason})  ${used} used${wait}${refused.length > 0 ? `  shed ${refused.join(', ')}` : ''}`
}

/** The reason is the last cell and has no colour: what a line is too long is taken from its end. */
function cutWhy(line: string, cells: readonly string[], columns: number): string {
  const excess = stripVTControlCharacters(line).length - columns
  const why = cells.at(-1) ?? ''
  return columns > 0 && excess > 0 && excess < why.length ? `${line.slice(0, -excess - 1)}…` : line
}

function memberCells(member: MemberView, paint: Paint): string[] {
  const { traffic } = member
  return [
    member.id,
    paint(stateStyle(member.state), member.state + (member.adopted ? '*' : '')),
    traffic === null ? paint('dim', 'none') : paint(trafficStyle(traffic.state), traffic.state),
    member.address,
    member.pid === null ? '-' : String(member.pid),
    member.startedAt === null ? '-' : durationText(Math.max(0, Date.now() - Date.parse(member.startedAt))),
    String(member.restarts),
    member.cpuPercent === null ? '-' : `${Math.round(member.cpuPercent)}%`,
    member.residentBytes === null ? '-' : bytesText(member.residentBytes),
    traffic === null ? '-' : String(traffic.requests),
    traffic === null ? '-' : String(traffic.failures),
    traffic === null ? '-' : String(traffic.inFlight),
    traffic === null || traffic.latencyMs === 0 ? '-' : durationText(traffic.latencyMs),
    whyText(member),
  ]
}

/** The fleet's reason while it is not simply ready, else the edge's. */
function whyText({ state, reason, traffic }: MemberView): string {
  if (state !== 'ready' || traffic === null) return reason
  return traffic.state === 'healthy' && traffic.chosenBy !== ''
    ? `${traffic.reason}; chosen by ${traffic.chosenBy}`
    : traffic.reason
}

function stateStyle(state: string): 'green' | 'yellow' | 'red' {
  if (state === 'ready') return 'green'
  return state === 'failed' ? 'red' : 'yellow'
}

function trafficStyle(state: NonNullable<MemberView['traffic']>['state']): 'green' | 'yellow' | 'red' {
  if (state === 'healthy' || state === 'unchecked') return 'green'
  return state === 'draining' ? 'yellow' : 'red'
}

function decisionLines(decisions: readonly SystemEvent[], paint: Paint): string[] {
  if (decisions.length === 0) return []
  return [paint('bold', 'latest decisions'), ...decisions.map(event => `  ${eventText(event, { paint })}`)]
}

/** `12:03:04  web/web-2  exited with code 1; restarts in 400 ms`. */
export function eventText(event: SystemEvent, terminal: Pick<Terminal, 'paint'>): string {
  const text = event.kind === 'warning' ? terminal.paint('yellow', event.text) : event.text
  return `${terminal.paint('dim', clockText(event.at))}  ${terminal.paint('bold', event.subject)}  ${text}`
}

/** Local time of day. */
function clockText(at: string): string {
  return new Date(at).toTimeString().slice(0, 8)
}
