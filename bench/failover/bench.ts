// How long writes stop when the primary dies, hangs, fills its disk, can't be reached, or hands over: real servers, four
// writers that follow what the agent publishes. See README.md.

import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { GroupSeams } from '../../src/database/agent/group.ts'
import {
  type FailoverGroup,
  type FailoverOptions,
  failoverGroup,
  Ledger,
  once,
  whole,
} from '../../test/tools/failover-harness.ts'
import { table } from '../lib/markdown.ts'
import { figure, median } from '../lib/statistics.ts'
import type { BenchOptions } from '../run.ts'

interface Fault {
  readonly name: string
  readonly title: string
  readonly options?: () => FailoverOptions
  begin(made: FailoverGroup): unknown
}

const primaryPid = (made: FailoverGroup): number => made.group.servers.pid(made.topology().primary!)!
let disk = ''

const faults: readonly Fault[] = [
  { name: 'kill', title: 'kill -9', begin: made => void process.kill(primaryPid(made), 'SIGKILL') },
  { name: 'stop', title: 'SIGSTOP', begin: made => void process.kill(primaryPid(made), 'SIGSTOP') },
  { name: 'switchover', title: 'switchover', begin: made => made.group.switchover(null, () => {}) },
  {
    name: 'cut',
    title: 'the agent reaches it no more',
    // The agent's own looks are cut off; writers are not, which is the harder case.
    begin: made => {
      const { servers } = made.group
      const id = made.topology().primary!
      const observe = servers.observe.bind(servers)
      servers.observe = (one, timeoutMs) =>
        one === id
          ? new Promise(resolve =>
              setTimeout(
                () => void observe(one, timeoutMs).then(found => resolve({ ...found, answers: false })),
                timeoutMs,
              ),
            )
          : observe(one, timeoutMs)
    },
  },
  {
    name: 'disk',
    title: 'its disk is full',
    options: () => {
      disk = mkdtempSync(join(tmpdir(), 'tenfold-disk-'))
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'tmpfs', disk])
      chmodSync(disk, 0o755)
      return { directories: { 'main-1': join(disk, 'main-1') } }
    },
    begin: () => {
      const { bavail, bsize } = statfsSync(disk)
      try {
        writeFileSync(join(disk, 'filler'), Buffer.alloc(bavail * bsize))
      } catch {
        // Full is what was wanted.
      }
    },
  },
]

export async function run(options: BenchOptions): Promise<string> {
  const rounds = options.quick ? 1 : 5
  const wanted = faults.filter(
    ({ name }) => options.scenarios.length === 0 || options.scenarios.includes(name),
  )
  const rows: string[][] = []
  for (const fault of wanted) {
    const gaps: number[] = []
    let lost = 0
    for (let round = 1; round <= rounds; round++) {
      const one = await measured(fault)
      gaps.push(one.gapMs)
      lost += one.lost
      console.error(`${fault.name} ${round}/${rounds}: ${Math.round(one.gapMs)} ms, ${one.lost} lost`)
    }
    const times = [median(gaps), Math.min(...gaps), Math.max(...gaps)].map(figure)
    rows.push([fault.title, ...times, String(lost), String(rounds)])
  }
  const head = ['one-replica, detect 1 s', 'median ms', 'least', 'most', 'acknowledged and lost', 'rounds']
  return table(head, rows)
}

/** From the fault to the first write acknowledged by the next primary. */
async function measured(fault: Fault): Promise<{ gapMs: number; lost: number }> {
  const endings: (() => unknown)[] = []
  const seams: GroupSeams = { settings: { failoversMax: 100 } }
  const made = failoverGroup(
    { after: fn => void endings.push(fn as () => unknown) },
    { seams, ...fault.options?.() },
  )
  try {
    await made.group.start(() => {})
    await once(made, 'all stream', whole(made))
    const ledger = new Ledger(made)
    await ledger.begin(4)
    const { epoch } = made.topology()
    const sinceMs = performance.now()
    await fault.begin(made)
    const opened = (): boolean => made.topology().epoch > epoch && made.topology().primary !== null
    await once(made, 'another primary', opened)
    const count = ledger.times.length
    await once(made, 'writes go on', () => ledger.times.length > count + 20)
    await ledger.end()
    return { gapMs: longestGap(ledger.times, sinceMs), lost: (await ledger.missing()).length }
  } finally {
    for (const end of endings.reverse()) await end()
    if (disk !== '') {
      execFileSync('umount', ['-l', disk])
      rmSync(disk, { recursive: true, force: true })
      disk = ''
    }
  }
}

/** Without any acknowledgement; the fault itself counts as the last moment at which all was well. */
function longestGap(times: readonly number[], sinceMs: number): number {
  const after = [sinceMs, ...times.filter(at => at > sinceMs).sort((x, y) => x - y)]
  return Math.max(...after.slice(1).map((at, index) => at - after[index]!))
}
