// Tiers: edges in three regions, each in a network namespace of its own and far from the others, with one parent (origin
// shield) before the service. Distance is a relay that delays. What is asserted is who is asked how often, and that what
// is kept never travels; the figures are printed.

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Host, hosts, type Started, whyNoHosts } from '../tools/hosts.ts'
import { until } from '../tools/project.ts'

const mainFile = join(import.meta.dirname, '../../src/cli/main.ts')
const tool = (name: string): string => join(import.meta.dirname, '../tools', name)
/** One way, milliseconds: long against everything that happens on one machine. */
const distances = { fra: 150, nyc: 300, syd: 600 }
type Region = keyof typeof distances
const regions = Object.keys(distances) as Region[]

interface Answer {
  readonly status: number
  readonly body: string
  readonly cache: string
  readonly ms: number
}

const route = { path: '/films/:id', to: 'films', cache: true }

async function startOn(host: Host, folder: string, edge: object, films: string): Promise<string> {
  const directory = join(folder, host.name)
  mkdirSync(directory)
  writeFileSync(
    join(directory, 'tenfold.config.mjs'),
    `export default ${JSON.stringify({
      name: 'shop',
      control: { listen: 9900 },
      edge: { listen: { http: 8080 }, workers: 1, drainTimeout: '1s', routes: [route], ...edge },
      services: { films: { addresses: [films] } },
    })}\n`,
  )
  const started = host.start(process.execPath, [mainFile, 'up', '--json', '--no-watch', directory], {
    cwd: directory,
  })
  await until(`tenfold on ${host.name} is ready: ${started.output()}`, () =>
    started.output().includes('"type":"ready"'),
  )
  return directory
}

function ask(host: Host, path: string, times: number): Answer[] {
  return JSON.parse(
    host.run(process.execPath, [tool('timed-requests.mjs'), '8080', path, 'shop.example', String(times)]),
  ) as Answer[]
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

test('three far regions behind one parent: one fetch of the origin for all, and hits stay near', {
  skip: whyNoHosts(),
}, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'tf-tiers-'))
  chmodSync(folder, 0o755)
  const net = hosts(t, ['shield', ...regions])
  // Runs after what `hosts` registered: everything has ended.
  t.after(() => rmSync(folder, { recursive: true }))
  const ledger = join(folder, 'ledger')
  writeFileSync(ledger, '')
  const asked = (): string[] => readFileSync(ledger, 'utf8').split('\n').filter(Boolean)
  net.shield.start('env', [
    ...['PORT=3000', 'HOST=0.0.0.0', `LEDGER=${ledger}`],
    ...[process.execPath, tool('caching-service.mjs')],
  ])
  const shieldFolder = await startOn(net.shield, folder, { region: 'shield' }, '127.0.0.1:3000')

  const relays = new Map<Region, Started>()
  for (const region of regions) {
    const relay = net[region].start(process.execPath, [
      tool('delaying-relay.mjs'),
      ...['7000', net.shield.address, '8080', String(distances[region])],
    ])
    relays.set(region, relay)
    await until(`the relay of ${region} listens`, () => relay.output().includes('relays'))
  }
  await Promise.all(
    regions.map(region =>
      startOn(
        net[region],
        folder,
        { region, cache: { parent: 'http://127.0.0.1:7000' } },
        `${net.shield.address}:3000`,
      ),
    ),
  )
  const travelled = (region: Region): number =>
    (
      relays
        .get(region)
        ?.output()
        .match(/^GET \/films/gm) ?? []
    ).length

  for (const region of regions) {
    const answers = ask(net[region], '/films/7', 21)
    assert.deepEqual([...new Set(answers.map(one => `${one.status} ${one.body}`))], ['200 7 1'], region)
    const [first, ...others] = answers as [Answer, ...Answer[]]
    for (const one of others) assert.match(one.cache, new RegExp(`tenfold-${region}; ?hit`))
    await until(`${region} has asked its parent`, () => travelled(region) > 0)
    assert.equal(travelled(region), 1)
    // What travels needs the way there and back; what is kept does not even need one way.
    const near = median(others.map(one => one.ms))
    assert.ok(near < distances[region], `${region}: median of hits ${near} ms`)
    t.diagnostic(
      `${region}: ${distances[region]} ms away; first ${first.ms.toFixed(0)} ms, median of 20 hits ${near.toFixed(1)} ms`,
    )
  }
  assert.deepEqual(asked(), ['/films/7'])

  // The parent dies: who misses asks the service himself.
  net.shield.run(process.execPath, [mainFile, 'stop', '--now', shieldFolder])
  const [alone] = ask(net.fra, '/films/8', 1)
  assert.equal(alone?.status, 200)
  assert.match(alone?.body ?? '', /^8 /)
  assert.deepEqual(asked(), ['/films/7', '/films/8'])
})
