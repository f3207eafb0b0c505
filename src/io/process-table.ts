// What the operating system knows of processes: who they are, who started them, what they use, who listens on a port.
// Linux answers from /proc; elsewhere (macOS, BSD) `ps` and `lsof` do, with start times to the second. Reads only: it
// never signals a process, and every answer may be out of date by the time it is used.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ProcessRow {
  readonly pid: number
  readonly parent: number
  readonly group: number
  /** With the pid it names one process for as long as the machine is up. Opaque: clock ticks on Linux, a date elsewhere. */
  readonly startedAt: string
  /** Ended, but not yet reaped by its parent. */
  readonly zombie: boolean
  /** CPU time used so far. */
  readonly cpuMs: number
  /** Resident bytes; pages shared between processes count in each of them. */
  readonly rssBytes: number
}

export interface PortListeners {
  /** Somebody listens on that port of the host, or on it of every address. */
  readonly found: boolean
  /** One of the candidates does; null when this user may not look into them. */
  readonly candidate: boolean | null
  /** Who listens instead, where that can be seen: `node (pid 4711)`. */
  readonly other: string | null
}

export interface ProcessSource {
  row(pid: number): ProcessRow | null
  rows(): ProcessRow[]
  /** One variable of the environment that the process was started with. Null: not set, or not ours to read. */
  environmentValue(pid: number, name: string): string | null
  listeners(port: number, candidates: ReadonlySet<number>): PortListeners
  /** Changes with each start of the machine. */
  bootId(): string
}

export const processes: ProcessSource =
  process.platform === 'linux' ? procSource() : psSource(process.platform)

/** From /proc. A process that ends while it is read is simply not there. */
export function procSource(): ProcessSource {
  return {
    row: procRow,
    rows: () => procPids().flatMap(pid => procRow(pid) ?? []),
    environmentValue: (pid, name) => valueIn((readOrNull(`/proc/${pid}/environ`) ?? '').split('\0'), name),
    listeners: procListeners,
    bootId: () => (readOrNull('/proc/sys/kernel/random/boot_id') ?? 'unknown').trim(),
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

function procPids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(pid => pid > 0)
}

let units: { pageBytes: number; tickMs: number } | undefined
function procUnits(): { pageBytes: number; tickMs: number } {
  units ??= { pageBytes: configured('PAGESIZE', 4096), tickMs: 1000 / configured('CLK_TCK', 100) }
  return units
}

function configured(name: string, usual: number): number {
  try {
    return Number(execFileSync('getconf', [name], { encoding: 'latin1', timeout: 5000 })) || usual
  } catch {
    return usual
  }
}

/** proc_pid_stat(5). The command name may hold spaces and brackets, so fields are counted from its last bracket. */
function procRow(pid: number): ProcessRow | null {
  const text = readOrNull(`/proc/${pid}/stat`)
  if (text === null) return null
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const { pageBytes, tickMs } = procUnits()
  return {
    pid,
    parent: Number(fields[1]),
    group: Number(fields[2]),
    startedAt: fields[19] ?? '',
    zombie: fields[0] === 'Z' || fields[0] === 'X',
    cpuMs: (Number(fields[11]) + Number(fields[12])) * tickMs,
    rssBytes: Number(fields[21]) * pageBytes,
  }
}

function valueIn(variables: readonly string[], name: string): string | null {
  const found = variables.find(variable => variable.startsWith(`${name}=`))
  return found === undefined ? null : found.slice(name.length + 1)
}

// Addresses as /proc/net/tcp and tcp6 write them: 32-bit words in the machine's byte order. An instance may listen on
// 127.0.0.1, on every IPv4 address, on every address, or on a mapped form of the first two.
const localAddresses = new Set([
  '0100007F',
  '00000000',
  '00000000000000000000000000000000',
  '0000000000000000FFFF00000100007F',
  '0000000000000000FFFF000000000000',
])
const listenState = '0A'

function procListeners(port: number, candidates: ReadonlySet<number>): PortListeners {
  const inodes = listeningInodes(port)
  if (inodes.size === 0) return { found: false, candidate: false, other: null }
  let readable = true
  for (const pid of candidates) {
    const held = holdsAny(pid, inodes)
    if (held) return { found: true, candidate: true, other: null }
    if (held === null) readable = false
  }
  if (!readable) return { found: true, candidate: null, other: null }
  return { found: true, candidate: false, other: holderOf(inodes) }
}

function listeningInodes(port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  const inodes = new Set<string>()
  for (const table of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const line of (readOrNull(table) ?? '').split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/)
      const [address, hexPort] = (fields[1] ?? '').split(':')
      if (hexPort !== wanted || fields[3] !== listenState || !localAddresses.has(address ?? '')) continue
      inodes.add(fields[9] ?? '')
    }
  }
  return inodes
}

/** Null when the process is alive and its open files are not ours to see. */
function holdsAny(pid: number, inodes: ReadonlySet<string>): boolean | null {
  const directory = `/proc/${pid}/fd`
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES' ? null : false
  }
  return names.some(name => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`${directory}/${name}`))?.[1]
      return inode !== undefined && inodes.has(inode)
    } catch {
      return false
    }
  })
}

function holderOf(inodes: ReadonlySet<string>): string | null {
  const pid = procPids().find(candidate => holdsAny(candidate, inodes))
  if (pid === undefined) return null
  return `${(readOrNull(`/proc/${pid}/comm`) ?? 'a process').trim()} (pid ${pid})`
}

/**
 * From `ps` and `lsof`. What it costs: a child process a look (milliseconds), start times to the second, and
 * environments only of processes of the same user, as far as `ps` shows them.
 */
export function psSource(platform: string = process.platform): ProcessSource {
  const columns = 'pid=,ppid=,pgid=,stat=,rss=,time=,lstart='
  return {
    row: pid => psRows(['-p', String(pid), '-o', columns])[0] ?? null,
    rows: () => psRows(['-A', '-o', columns]),
    environmentValue: (pid, name) =>
      valueIn(
        run('ps', ['eww', '-o', 'command=', '-p', String(pid)])
          .trim()
          .split(' '),
        name,
      ),
    listeners: lsofListeners,
    bootId: () => {
      const text =
        platform === 'linux' ? run('uptime', ['-s']) : run('sysctl', ['-n', 'kern.bootsessionuuid'])
      return text.trim() || 'unknown'
    },
  }
}

/** The empty text when the program is missing or answers with a failure (`ps -p` of no process does). */
function run(program: string, args: readonly string[]): string {
  try {
    return execFileSync(program, args, {
      encoding: 'latin1',
      timeout: 5000,
      maxBuffer: 64 << 20,
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, LC_ALL: 'C' },
    })
  } catch {
    return ''
  }
}

function psRows(args: readonly string[]): ProcessRow[] {
  return run('ps', args)
    .split('\n')
    .flatMap(line => psRow(line) ?? [])
}

function psRow(line: string): ProcessRow | null {
  const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(\S.*?)\s*$/.exec(line)
  if (match === null) return null
  const [, pid, parent, group, stat, rssKb, time, startedAt] = match as unknown as string[]
  return {
    pid: Number(pid),
    parent: Number(parent),
    group: Number(group),
    startedAt: (startedAt as string).replace(/\s+/g, ' '),
    zombie: (stat as string).startsWith('Z'),
    cpuMs: psTimeMs(time as string),
    rssBytes: Number(rssKb) * 1024,
  }
}

/** `[[days-]hours:]minutes:seconds[.hundredths]` */
function psTimeMs(text: string): number {
  const [days, clock] = text.includes('-') ? (text.split('-') as [string, string]) : ['0', text]
  const seconds = clock.split(':').reduce((sum, part) => sum * 60 + Number(part), 0)
  return (Number(days) * 86_400 + seconds) * 1000
}

function lsofListeners(port: number, candidates: ReadonlySet<number>): PortListeners {
  const lines = run('lsof', ['-nP', `-iTCP:${port}`, '-sTCP:LISTEN', '-F', 'pc']).split('\n')
  const pids = lines.filter(line => line.startsWith('p')).map(line => Number(line.slice(1)))
  const name = lines.find(line => line.startsWith('c'))?.slice(1) ?? 'a process'
  // Without root, lsof shows only this user's processes: nobody found may mean anybody.
  if (pids.length === 0) return { found: false, candidate: null, other: null }
  const candidate = pids.some(pid => candidates.has(pid))
  return { found: true, candidate, other: candidate ? null : `${name} (pid ${pids[0]})` }
}
