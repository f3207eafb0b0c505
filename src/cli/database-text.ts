// Databases as text for people: which server is what, how far behind, what pins and waits, and why. Pure but for the
// terminal's colours.

import { bytesText, durationText } from '../kit/duration.ts'
import type {
  BackupsView,
  DatabaseServerView,
  DatabaseSettingsView,
  DatabaseTrafficView,
  DatabaseView,
  FailoverView,
  RouterView,
  SlowStatementsView,
} from '../system/index.ts'
import { type Column, type Terminal, tableLines } from './terminal.ts'

type Painter = Pick<Terminal, 'paint'>

export function databasesText(
  router: RouterView | null,
  databases: readonly DatabaseView[],
  terminal: Painter,
): string {
  if (databases.length === 0) return 'the running system has no database'
  return [
    ...routerLines(router, terminal),
    ...databases.flatMap(one => ['', ...databaseLines(one, terminal)]),
  ]
    .join('\n')
    .trim()
}

export function routerLines(router: RouterView | null, { paint }: Painter): string[] {
  if (router === null) return []
  const { state, pid, reason, restarts } = router
  const more = restarts === 0 ? '' : `, ${restarts} restarts`
  const what = state === 'running' ? `process ${pid ?? '?'}${more}` : reason
  return [
    `${paint('bold', 'database router')}  ${paint(state === 'running' ? 'green' : 'red', state)}  ${what}`,
  ]
}

const good: readonly string[] = ['ready']
const half: readonly string[] = ['starting', 'degraded', 'stopping', 'failing-over', 'read-only']

const styleOf = (state: string): 'green' | 'yellow' | 'red' =>
  good.includes(state) ? 'green' : half.includes(state) ? 'yellow' : 'red'

export function databaseLines(view: DatabaseView, terminal: Painter): string[] {
  const { paint } = terminal
  const where = view.servedBy === 'tenfold' ? '' : '  servers elsewhere'
  const promise = `durability ${view.durability}, reads ${view.reads}`
  const head = `${paint('bold', view.name)}  ${paint(styleOf(view.state), view.state)}  ${view.host}:${view.port}/${view.database}${where}  ${promise}  epoch ${view.epoch}, timeline ${view.timeline}`
  const because =
    ['', 'ready'].includes(view.reason) || view.state === 'ready' ? [] : [`  ${paint('yellow', view.reason)}`]
  const paused =
    view.paused === null
      ? []
      : [`  ${paint('yellow', 'paused')}  ${view.paused} (\`tenfold db resume ${view.name}\` ends it)`]
  return [
    head,
    ...because,
    ...paused,
    ...serverLines(view.servers, terminal),
    ...trafficLines(view.traffic, terminal),
    ...(view.backup === null
      ? []
      : [`  ${paint('dim', 'backup')}  ${view.backup.directory}: ${view.backup.text}`]),
    ...failoverLines(view.failovers, terminal),
  ]
}

const serverColumns: readonly Column[] = [
  { title: 'SERVER' },
  { title: 'ROLE' },
  { title: 'STATE' },
  { title: 'ADDRESS' },
  { title: 'PID', align: 'right' },
  { title: 'LSN', align: 'right' },
  { title: 'BEHIND', align: 'right' },
  { title: '', align: 'right' },
  { title: 'POOL', align: 'right' },
  { title: 'WHY' },
]

function serverLines(servers: readonly DatabaseServerView[], { paint }: Painter): string[] {
  const rows = servers.map(server => [
    server.id,
    server.role === 'primary' ? paint('bold', server.role) : server.role,
    paint(styleOf(server.state), server.state),
    server.address,
    server.pid === null ? '-' : String(server.pid),
    server.lsn,
    server.role === 'primary' || server.lagBytes === null ? '-' : bytesText(server.lagBytes),
    server.role === 'primary' || server.lagMs === null ? '-' : durationText(server.lagMs),
    server.connections === null ? '-' : `${server.connections.active} of ${server.connections.total}`,
    server.delayMs === 0
      ? server.reason
      : `${durationText(server.delayMs)} late on purpose; ${server.reason}`,
  ])
  const [titles, ...lines] = tableLines(serverColumns, rows)
  return [`  ${paint('dim', titles as string)}`, ...lines.map(line => `  ${line}`)]
}

function trafficLines(traffic: DatabaseTrafficView | null, { paint }: Painter): string[] {
  if (traffic === null) return [`  ${paint('red', 'the router does not answer')}`]
  const { clients, waiting, held, pins, reads } = traffic
  const counts = (all: Readonly<Record<string, number>>): string =>
    Object.entries(all)
      .filter(([, count]) => count > 0)
      .map(([word, count]) => `${word} ${count}`)
      .join(', ')
  const parts = [
    `${clients} client${clients === 1 ? '' : 's'}`,
    ...(waiting === 0 ? [] : [paint('yellow', `${waiting} wait for a connection`)]),
    ...(held === 0 ? [] : [paint('yellow', `${held} held for a primary`)]),
    ...(counts(pins) === '' ? [] : [`pinned: ${counts(pins)}`]),
    ...(counts(reads) === '' ? [] : [`reads: ${counts(reads)}`]),
  ]
  return [`  ${paint('dim', 'traffic')}  ${parts.join('; ')}`, ...feedLines(traffic, { paint })]
}

/** Whom changes are told, and who has not heard of them. */
function feedLines({ feed }: DatabaseTrafficView, { paint }: Pick<Painter, 'paint'>): string[] {
  if (feed === null) return []
  const { state, problem, lagMs, sinks } = feed
  const parts = sinks.map(sink =>
    sink.state === 'away' || sink.state === 'owed'
      ? paint(
          'yellow',
          `${sink.name} ${sink.state === 'owed' ? 'is owed everything' : 'is away'}: ${sink.problem}`,
        )
      : `${sink.name} ${sink.state}`,
  )
  const follows =
    state === 'streaming' ? 'followed' : paint('yellow', `${state}${problem === '' ? '' : `: ${problem}`}`)
  const late = lagMs < 1_000 ? '' : `, ${durationText(lagMs)} late`
  return [`  ${paint('dim', 'changes')}  ${follows}${late}; ${parts.join('; ')}`]
}

const failoversShown = 3

function failoverLines(failovers: readonly FailoverView[], { paint }: Painter): string[] {
  return failovers.slice(0, failoversShown).map(({ at, kind, from, to, why, tookMs, lost }) => {
    const changes =
      lost === null
        ? ''
        : lost.changes === 0
          ? '; nothing was lost'
          : `; ${paint('red', `${lost.changes} changes lost`)}: ${lost.file}`
    return `  ${paint('dim', `${at.slice(0, 19).replace('T', ' ')} UTC`)}  ${kind} from ${from} to ${to} in ${durationText(tookMs)}: ${why}${changes}`
  })
}

export function settingsText({ server, settings }: DatabaseSettingsView, terminal: Painter): string {
  const rows = settings.map(({ name, value, source, pending }) => [
    name,
    value,
    pending ? terminal.paint('yellow', 'after a restart') : 'in effect',
    source,
  ])
  const columns = [{ title: 'SETTING' }, { title: 'VALUE' }, { title: '' }, { title: `FROM (${server})` }]
  return tableLines(columns, rows).join('\n')
}

const textLengthMax = 120

export function slowText({ statements }: SlowStatementsView): string {
  if (statements.length === 0) return 'no statement was counted yet'
  const rows = statements.map(({ server, text, calls, totalMs, meanMs, maxMs, rows: found }) => [
    durationText(totalMs),
    String(calls),
    durationText(meanMs),
    durationText(maxMs),
    String(found),
    server,
    text.replaceAll(/\s+/g, ' ').slice(0, textLengthMax),
  ])
  const columns: Column[] = [
    { title: 'IN SUM', align: 'right' },
    { title: 'CALLS', align: 'right' },
    { title: 'MEAN', align: 'right' },
    { title: 'MAX', align: 'right' },
    { title: 'ROWS', align: 'right' },
    { title: 'SERVER' },
    { title: 'STATEMENT' },
  ]
  return tableLines(columns, rows).join('\n')
}

export function backupsText({ backups, text }: BackupsView, terminal: Painter): string {
  const rows = backups.map(({ id, at, bytes, problem }) => [
    id,
    at.slice(0, 19).replace('T', ' '),
    bytesText(bytes),
    problem === '' ? 'whole' : terminal.paint('red', problem),
  ])
  const columns: Column[] = [
    { title: 'BASE BACKUP' },
    { title: 'ENDED (UTC)' },
    { title: 'SIZE', align: 'right' },
    { title: '' },
  ]
  return [...(rows.length === 0 ? [] : tableLines(columns, rows)), text].join('\n')
}
