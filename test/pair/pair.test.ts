// Two edges on two hosts share one address: keepalived, driven by what Tenfold says of itself, moves it. Hosts are network
// namespaces. What is asserted is that service comes back and that the address does not go to and fro; the figures are
// printed, they belong to docs/operate/redundant-pair.md.

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Host, hosts, type Started, whyNoHosts } from '../tools/hosts.ts'
import { until } from '../tools/project.ts'

const mainFile = join(import.meta.dirname, '../../src/cli/main.ts')
const shared = '198.51.100.10'
const everyMs = 20
/** A bound on liveness; the time without service is measured and printed. */
const gapMaxMs = 10_000

interface Site {
  readonly host: Host
  readonly priority: number
  readonly directory: string
  up(): Promise<void>
  /** The supervisor and the edge at once, as when a machine dies that keepalived survives. */
  kill(): Promise<void>
  tenfold(...args: string[]): string
}

interface Answer {
  readonly begunMs: number
  readonly endedMs: number
  /** Who answered; `!CODE` when nobody did. */
  readonly text: string
}

function siteOn(host: Host, priority: number, folder: string): Site {
  const directory = join(folder, host.name)
  mkdirSync(directory)
  writeFileSync(
    join(directory, 'tenfold.config.mjs'),
    `export default ${JSON.stringify({
      name: 'shop',
      control: { listen: 9900 },
      services: {},
      edge: {
        listen: { http: 8080 },
        workers: 1,
        health: 9901,
        routes: [{ path: '/*', respond: host.name }],
      },
    })}\n`,
  )
  let supervisor: Started | null = null
  const tenfold = (...args: string[]): string => host.run(process.execPath, [mainFile, ...args, directory])
  return {
    host,
    priority,
    directory,
    tenfold,
    up: async () => {
      const started = host.start(process.execPath, [mainFile, 'up', '--json', '--no-watch', directory], {
        cwd: directory,
      })
      supervisor = started
      await until(`tenfold on ${host.name}: ${started.output()}`, () =>
        started.output().includes('"type":"ready"'),
      )
    },
    kill: async () => {
      const status = JSON.parse(tenfold('status', '--json')) as { edge: { pid: number } }
      process.kill(status.edge.pid, 'SIGKILL')
      await supervisor?.stop('SIGKILL')
    },
  }
}

function keepalivedOn({ host, priority, directory, tenfold }: Site): Started {
  const config = tenfold(
    ...['export', 'keepalived', '--address', `${shared}/24`, '--interface', host.device],
    ...['--priority', String(priority)],
  )
  const file = join(directory, 'keepalived.conf')
  writeFileSync(file, config, { mode: 0o644 })
  const pidFiles = ['-p', 'main', '-r', 'vrrp', '-c', 'checkers'].map(word =>
    word.startsWith('-') ? word : join(directory, `keepalived-${word}.pid`),
  )
  return host.start('keepalived', ['--dont-fork', '--log-console', '--vrrp', '-f', file, ...pidFiles])
}

interface Pair {
  readonly sites: Record<'a' | 'b', Site>
  /** Who has the address: asked of the network, not of keepalived. */
  holder(): Site
  other(site: Site): Site
  answers(): readonly Answer[]
  /** Until there are so many further good answers. */
  more(good: number): Promise<void>
}

async function pair(t: TestContext): Promise<Pair> {
  const folder = mkdtempSync(join(tmpdir(), 'tf-pair-'))
  const net = hosts(t, ['a', 'b', 'client'])
  t.after(() => rmSync(folder, { recursive: true }))
  const sites = { a: siteOn(net.a, 101, folder), b: siteOn(net.b, 100, folder) }
  await Promise.all([sites.a.up(), sites.b.up()])
  const keepers = [keepalivedOn(sites.a), keepalivedOn(sites.b)]
  const holders = (): Site[] => Object.values(sites).filter(site => site.host.has(shared))
  await until(
    `one of the hosts to have the address: ${keepers.map(keeper => keeper.output()).join('\n')}`,
    () => holders().length === 1,
  )
  const probe = net.client.start(process.execPath, [
    join(import.meta.dirname, 'probe.mjs'),
    `http://${shared}:8080/`,
    String(everyMs),
    '4000',
  ])
  const answers = (): Answer[] =>
    probe
      .output()
      .split('\n')
      .slice(0, -1)
      .map(line => {
        const [begun, ended, text = ''] = line.split(' ')
        return { begunMs: Number(begun), endedMs: Number(ended), text }
      })
  const good = (): number => answers().filter(answer => !answer.text.startsWith('!')).length
  return {
    sites,
    holder: () => {
      const [holder, ...others] = holders()
      assert.ok(holder !== undefined && others.length === 0, 'one host has the address')
      return holder
    },
    other: site => (site === sites.a ? sites.b : sites.a),
    answers,
    more: async count => {
      const before = good()
      await until(`${count} further answers`, () => good() >= before + count)
    },
  }
}

interface Moves {
  /** Longest time without a good answer. */
  readonly gapMs: number
  readonly lost: number
  /** Who answered, one after another. */
  readonly hosts: readonly string[]
}

/** By the order in which requests were begun: those under way at a move may be answered late. */
function movesIn(answers: readonly Answer[]): Moves {
  const good = answers.filter(answer => !answer.text.startsWith('!'))
  const ends = good.map(answer => answer.endedMs).sort((one, other) => one - other)
  const gaps = ends.slice(1).map((end, index) => end - (ends[index] as number))
  const order = good.toSorted((one, other) => one.begunMs - other.begunMs).map(answer => answer.text)
  return {
    gapMs: Math.max(0, ...gaps),
    lost: answers.length - good.length,
    hosts: order.filter((text, index) => text !== order[index - 1]),
  }
}

test('one address survives the death of the edge that has it, a maintenance and a cut cable, and never goes to and fro', {
  skip: whyNoHosts(),
}, async t => {
  const { sites, holder, other, answers, more } = await pair(t)
  await more(50)

  /** What happened to requests from here to where the other host has answered for a while. */
  const moved = async (what: string, event: () => Promise<void> | void, to: Site): Promise<Moves> => {
    const from = answers().length
    await event()
    await until(`${to.host.name} to have the address after ${what}`, () => to.host.has(shared))
    await more(100)
    const moves = movesIn(answers().slice(from))
    t.diagnostic(
      `${what}: ${moves.gapMs} ms without service, ${moves.lost} of ${answers().length - from} requests lost`,
    )
    assert.ok(moves.gapMs <= gapMaxMs, `${what}: ${moves.gapMs} ms`)
    assert.equal(moves.hosts.at(-1), to.host.name)
    assert.ok(moves.hosts.length <= 2, `${what}: answered by ${moves.hosts.join(', ')}`)
    return moves
  }
  /** A host that is well again takes nothing: answers of several rounds of checks and adverts, all of one host. */
  const stays = async (what: string, at: Site): Promise<void> => {
    const from = answers().length
    await more(300)
    assert.deepEqual(movesIn(answers().slice(from)).hosts, [at.host.name], what)
    assert.equal(holder(), at)
  }

  // The edge dies, its host and keepalived live on.
  const first = holder()
  const second = other(first)
  await moved('kill -9 of edge and supervisor', () => first.kill(), second)
  await first.up()
  await stays('the former one is back', second)

  // A maintenance: the address leaves while everything is still served.
  const standDown = (): void => void second.tenfold('standdown', '--reason', 'a new kernel')
  const planned = await moved('stand-down', standDown, first)
  assert.ok(planned.lost <= 5, `${planned.lost} requests lost in a planned move`)
  assert.match(second.tenfold('status'), /a new kernel/)
  second.tenfold('standup')
  await stays('the maintenance is over', first)

  // The cable.
  await moved('cable cut', () => first.host.cable('down'), second)
  first.host.cable('up')
  await stays('the cable is back', second)

  // They do not hear each other: both take the address (split brain), each serves, and when they hear each other again the
  // one with the lower priority gives it up (RFC 9568 6.4.3).
  const from = answers().length
  for (const { host } of [sites.a, sites.b]) host.isolate(true)
  await until('both to have it', () => sites.a.host.has(shared) && sites.b.host.has(shared))
  await more(100)
  for (const { host } of [sites.a, sites.b]) host.isolate(false)
  await until('one to give it up', () => !sites.b.host.has(shared))
  await stays('they hear each other again', sites.a)
  const { gapMs, lost } = movesIn(answers().slice(from))
  t.diagnostic(`split brain and its end: ${gapMs} ms without service, ${lost} requests lost`)
  assert.ok(gapMs <= gapMaxMs, `${gapMs} ms`)
})
