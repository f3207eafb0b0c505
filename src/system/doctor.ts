// The doctor: is this machine fit to run the system, and what to do where it is not. One finding a check; it changes
// nothing. What a file asks for (ports, connections) is looked at when there is one.

import { existsSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type CheckedSystem, fileFailures } from '../file/index.ts'
import { portTrouble, udpPortTrouble } from '../io/port-check.ts'
import { reusePortWorks } from '../io/reuse-port.ts'
import { bytesText } from '../kit/duration.ts'
import type { Failure } from '../kit/failure.ts'
import { databaseFindings } from './doctor-databases.ts'
import { holderAlive, readLock } from './lock.ts'

export interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warn' | 'fail'
  readonly text: string
  /** Empty when the level is ok. */
  readonly remedy: string
}

export interface DoctorQuestion {
  /** Null: there is none, or a wrong one; its ports are not looked at. */
  readonly system: CheckedSystem | null
  readonly fileProblem: Failure | null
  /** Absolute; need not exist. */
  readonly stateDirectory: string
}

export async function examineMachine(question: DoctorQuestion): Promise<Finding[]> {
  return [
    systemFile(question.fileProblem),
    nodeVersion(process.versions.node),
    openFiles(readText('/proc/self/limits'), question.system?.edge.limits.connectionsMax ?? null),
    memory(process.availableMemory()),
    diskSpace(question.stateDirectory),
    clock(Date.now()),
    ...permissions(question.stateDirectory),
    await reusePort(),
    portRange(readText('/proc/sys/net/ipv4/ip_local_port_range'), portsOf(question.system)),
    acceptQueue(readText('/proc/sys/net/core/somaxconn')),
    firstProcess(process.pid, process.platform),
    ...(await ports(question)),
    ...(await databases(question)),
  ]
}

const ok = (check: string, text: string): Finding => ({ check, level: 'ok', text, remedy: '' })
const warn = (check: string, text: string, remedy: string): Finding => ({
  check,
  level: 'warn',
  text,
  remedy,
})
const fail = (check: string, text: string, remedy: string): Finding => ({
  check,
  level: 'fail',
  text,
  remedy,
})

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

function systemFile(problem: Failure | null): Finding {
  if (problem === null) return ok('system file', 'no problems')
  const sentence = problem.message.split('\n')[0] as string
  if (problem.code === fileFailures.notFound.code) {
    return warn(
      'system file',
      sentence,
      'Give its path as the last argument; without one, ports are not looked at.',
    )
  }
  return fail('system file', sentence, '`tenfold check` shows every problem.')
}

export function nodeVersion(version: string): Finding {
  const major = Number(version.split('.')[0])
  if (major < 24) return fail('node', `Node ${version}`, 'Install Node 24 or later.')
  if (major < 26) {
    return warn('node', `Node ${version}: works, but 26 is faster on sockets`, 'Install Node 26.')
  }
  return ok('node', `Node ${version}`)
}

/** A proxied connection takes two descriptors: the client's and the instance's. */
export function openFiles(limits: string | null, connectionsMax: number | null): Finding {
  const found = /^Max open files\s+(\S+)/m.exec(limits ?? '')?.[1]
  if (found === undefined) return warn('open files', 'the limit cannot be read here', 'See `ulimit -n`.')
  const limit = found === 'unlimited' ? Number.POSITIVE_INFINITY : Number(found)
  const remedy = "Raise it: 'ulimit -n 65536' before `tenfold up`, or LimitNOFILE in the service unit."
  const needed = connectionsMax === null ? null : connectionsMax * 2 + 1_000
  if (limit < 1_024) return fail('open files', `the limit is ${found}`, remedy)
  if (needed !== null && limit < needed) {
    return warn(
      'open files',
      `the limit is ${found}; edge.limits.connections of ${connectionsMax} can need ${needed}`,
      remedy,
    )
  }
  if (limit < 10_240) return warn('open files', `the limit is ${found}`, remedy)
  return ok('open files', `the limit is ${found}`)
}

export function memory(availableBytes: number): Finding {
  const text = `${bytesText(availableBytes)} available`
  const remedy = 'End other programs, or give the machine (or container) more memory.'
  if (availableBytes < 64 * 1024 ** 2) return fail('memory', text, remedy)
  if (availableBytes < 256 * 1024 ** 2) return warn('memory', text, remedy)
  return ok('memory', text)
}

function diskSpace(stateDirectory: string): Finding {
  const place = nearestExisting(stateDirectory)
  const { bavail, bsize } = statfsSync(place)
  const bytes = bavail * bsize
  const text = `${bytesText(bytes)} free for ${stateDirectory}`
  const remedy = 'Free some space, or put the state directory elsewhere with --state.'
  if (bytes < 100 * 1024 ** 2) return fail('disk', text, remedy)
  if (bytes < 1024 ** 3) return warn('disk', text, remedy)
  return ok('disk', text)
}

function nearestExisting(path: string): string {
  let place = path
  while (!existsSync(place) && place !== dirname(place)) place = dirname(place)
  return place
}

/** Certificates and signed cookies fail quietly when it is wrong. 2026-01-01: no release is older. */
export function clock(nowMs: number): Finding {
  const text = `it is ${new Date(nowMs).toISOString()}`
  if (nowMs < Date.UTC(2026, 0, 1)) {
    return fail(
      'clock',
      `${text}, before this version was made`,
      'Set the clock; run a time service (chrony, timesyncd).',
    )
  }
  return ok('clock', text)
}

function permissions(stateDirectory: string): Finding[] {
  const place = statSync(stateDirectory, { throwIfNoEntry: false })
  if (place === undefined) return [ok('state directory', `${stateDirectory} will be made by \`tenfold up\``)]
  const own = process.geteuid?.() ?? place.uid
  const mode = place.mode & 0o777
  const findings: Finding[] = []
  if (own !== 0 && place.uid !== own) {
    findings.push(
      fail(
        'state directory',
        `${stateDirectory} belongs to user ${place.uid}, this is user ${own}`,
        `Run as that user, choose another one with --state, or: chown -R ${own} ${stateDirectory}`,
      ),
    )
  } else if ((mode & 0o066) !== 0) {
    const remedy = `chmod 700 ${stateDirectory}`
    findings.push(
      warn('state directory', `${stateDirectory} is open to others (${mode.toString(8)})`, remedy),
    )
  } else findings.push(ok('state directory', `${stateDirectory} is private`))
  for (const name of ['token', 'tokens.json', 'sticky.key', 'database.key']) {
    const file = join(stateDirectory, name)
    const found = statSync(file, { throwIfNoEntry: false })
    if (found !== undefined && (found.mode & 0o077) !== 0) {
      findings.push(
        fail(name, `${file} can be read by others`, `chmod 600 ${file}; then delete it for a new one`),
      )
    }
  }
  return findings
}

async function reusePort(): Promise<Finding> {
  if (await reusePortWorks()) return ok('port sharing', 'worker threads can share a port (reusePort)')
  return warn(
    'port sharing',
    'this platform cannot share a port between threads: the edge runs one worker',
    'Use Linux 3.9 or later for more than one.',
  )
}

/** A listener inside the range from which outgoing connections are served may be taken by one of them. */
export function portRange(text: string | null, ports: readonly number[]): Finding {
  const match = /(\d+)\s+(\d+)/.exec(text ?? '')
  if (match === null) return ok('port range', 'not told by this platform')
  const [low, high] = [Number(match[1]), Number(match[2])]
  const inside = ports.filter(port => port >= low && port <= high)
  if (inside.length > 0) {
    return warn(
      'port range',
      `outgoing connections use ${low}-${high}, which includes the listening port ${inside.join(', ')}`,
      `Listen outside of that range, or: sysctl net.ipv4.ip_local_reserved_ports=${inside.join(',')}`,
    )
  }
  if (high - low < 10_000) {
    return warn(
      'port range',
      `only ${high - low + 1} ports for outgoing connections (${low}-${high})`,
      "sysctl net.ipv4.ip_local_port_range='15000 60999'",
    )
  }
  return ok('port range', `${low}-${high} for outgoing connections`)
}

export function acceptQueue(text: string | null): Finding {
  if (text === null) return ok('accept queue', 'not told by this platform')
  const length = Number(text)
  if (length >= 1_024) return ok('accept queue', `somaxconn is ${length}`)
  return warn(
    'accept queue',
    `somaxconn is ${length}: bursts of new connections are dropped`,
    'sysctl net.core.somaxconn=4096',
  )
}

export function firstProcess(pid: number, platform: string): Finding {
  if (pid !== 1 || platform !== 'linux') return ok('process 1', 'somebody else is process 1')
  return warn(
    'process 1',
    'Tenfold would be process 1: orphans of orphans are not reaped',
    'Start the container with an init: `docker run --init`, or tini.',
  )
}

function portsOf(system: CheckedSystem | null): number[] {
  if (system === null) return []
  const routers = Object.values(system.databases).map(database => database.listen)
  return [...system.edge.listeners, system.control, ...routers]
    .map(listen => listen.port)
    .filter(port => port !== 0)
}

async function databases({ system, stateDirectory }: DoctorQuestion): Promise<Finding[]> {
  if (system === null) return []
  const lock = readLock(stateDirectory)
  return databaseFindings(system, lock !== null && holderAlive(lock), process.availableMemory())
}

async function ports({ system, stateDirectory }: DoctorQuestion): Promise<Finding[]> {
  if (system === null) return []
  const lock = readLock(stateDirectory)
  if (lock !== null && holderAlive(lock)) {
    return [ok('ports', `in use by this system, which runs (process ${lock.pid})`)]
  }
  const wanted = [
    ...system.edge.listeners.map(({ id, kind, host, port }) => ({
      check: `port of ${id}`,
      kind,
      host,
      port,
    })),
    { check: 'control port', kind: 'http', ...system.control },
  ]
  return Promise.all(wanted.map(portFinding))
}

interface WantedPort {
  readonly check: string
  readonly kind: string
  readonly host: string
  readonly port: number
}

async function portFinding({ check, kind, host, port }: WantedPort): Promise<Finding> {
  if (port === 0) return ok(check, 'any free port')
  const trouble = await (kind === 'udp' ? udpPortTrouble : portTrouble)(host, port)
  if (trouble === null) return ok(check, `${host}:${port} is free`)
  const remedies = {
    taken: 'End what holds it, or change the port in the file.',
    forbidden: 'Use a port from 1024 on, or give the service CAP_NET_BIND_SERVICE.',
    'no-address': 'Use an address of this machine, or 0.0.0.0 for all.',
    other: 'Change the listener in the file.',
  }
  return fail(check, `${host}:${port} ${trouble.reason}`, remedies[trouble.kind])
}
