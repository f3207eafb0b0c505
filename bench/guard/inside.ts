// The guard's own code in one process: the real composition, door, gate and the end of the visit, with the passage of the
// unit tests. Each call reads its head anew, as a worker does, so that no text is remembered that a worker would have to
// look at. `node bench/guard/inside.ts [--rounds 9] [--only NAME]`; with `--cpu-prof` it says where the time goes.

import { parseArgs } from 'node:util'
import type { CheckedGuardPolicy } from '../../src/file/checked-guard.ts'
import { Composition, type GuardGate } from '../../src/guard/composition.ts'
import { Outbox } from '../../src/guard/outbox.ts'
import type { GuardSpec, GuardSurroundings, MainPartSurroundings } from '../../src/guard/part.ts'
import { wantedParts } from '../../src/guard/parts.ts'
import { FakePassage, type FakeRequest } from '../../src/guard/testing/fake-passage.ts'
import { policyOf, specOf } from '../../src/guard/testing/spec.ts'
import { hostClock } from '../../src/io/clock.ts'
import { seededRandom } from '../../src/kit/random.ts'
import { table } from '../lib/markdown.ts'
import { median } from '../lib/statistics.ts'
import { benchRisk, oneLimit, threeLimits } from './policies.ts'

const callsPerRound = 40_000

interface Variant {
  readonly name: string
  readonly policy: Partial<CheckedGuardPolicy> | null
}

const variants: readonly Variant[] = [
  { name: 'none', policy: null },
  { name: 'a policy that asks nothing', policy: {} },
  { name: 'one limit', policy: { limits: oneLimit } },
  { name: 'three limits', policy: { limits: threeLimits } },
  { name: 'risk', policy: { risk: benchRisk } },
  { name: 'one limit and risk', policy: { limits: oneLimit, risk: benchRisk } },
  { name: 'three limits and risk', policy: { limits: threeLimits, risk: benchRisk } },
]

const chrome =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36'
const clients: Readonly<Record<string, FakeRequest>> = {
  plain: {
    target: '/films?page=2',
    address: '198.51.100.7',
    fields: 'User-Agent: bench/1.0\r\nAccept: */*\r\n',
  },
  chrome: {
    target: '/films?page=2',
    address: '2001:db8:7:9:1c2d:3e4f:5a6b:7c8d',
    fields: [
      'Cookie: sid=0123456789abcdef0123456789abcdef; theme=dark',
      'Sec-Ch-Ua: "Chromium";v="131", "Not_A Brand";v="24"',
      'Sec-Ch-Ua-Mobile: ?0',
      'Sec-Ch-Ua-Platform: "Linux"',
      'Upgrade-Insecure-Requests: 1',
      `User-Agent: ${chrome}`,
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
      'Sec-Fetch-Site: none',
      'Sec-Fetch-Mode: navigate',
      'Sec-Fetch-User: ?1',
      'Sec-Fetch-Dest: document',
      'Accept-Encoding: gzip, deflate, br, zstd',
      'Accept-Language: en-US,en;q=0.9',
      '',
    ].join('\r\n'),
    client: {
      tls: {
        serverName: 'shop.example',
        protocol: 'http/1.1',
        version: 'TLSv1.3',
        cipher: 'TLS_AES_128_GCM_SHA256',
      },
      hello: { ja4: 't13d1516h2_8daaf6152771_02713d6af862', ja3: 'cd08e31494f9531f560d64c695473da9' },
    },
  },
}

/** Both halves of each part, as main-composition.ts and composition.ts make them. */
async function compose(
  policy: CheckedGuardPolicy,
): Promise<{ composition: Composition; gates: GuardGate[] }> {
  const spec: GuardSpec = specOf([policy])
  const memory: Record<string, SharedArrayBuffer> = {}
  for (const loader of wantedParts(spec, [policy.name])) {
    const main = (await loader.load()).createMainPart?.(mainSurroundings(memory))
    Object.assign(memory, main?.memory?.(1) ?? {})
    await main?.take?.(spec)
  }
  const surroundings: GuardSurroundings = {
    index: 0,
    clock: hostClock,
    random: seededRandom(1),
    memory,
    hooks: { country: null, asn: null },
    send: () => {},
    tell: (_, text) => console.error(text),
    audit: () => {},
  }
  const composition = new Composition(surroundings, new Outbox(() => {}), [], () => {})
  const route = { id: '/*', match: { path: '/*' }, guard: policy.name }
  await composition.prepare(spec, { routes: [route], trustedProxies: [] })
  const gate = composition.gate(spec, route)
  return { composition, gates: [composition.door(), ...(gate === null ? [] : [gate])] }
}

function mainSurroundings(memory: Record<string, SharedArrayBuffer>): MainPartSurroundings {
  return {
    clock: hostClock,
    random: seededRandom(1),
    stateDirectory: '/nonexistent',
    workers: 1,
    memory,
    send: () => {},
    tell: () => {},
    audit: () => {},
  }
}

/** Microseconds of CPU a call. */
function round(passage: FakePassage, text: string, gates: readonly GuardGate[]): number {
  const before = process.cpuUsage()
  for (let call = 0; call < callsPerRound; call++) {
    passage.extraFields = ''
    // A text of its own, as bytes from a socket give.
    passage.head.parse(Buffer.from(text, 'latin1').latin1Slice())
    for (const gate of gates) if (gate.enter(passage) !== 0) throw new Error(`${gate.name} did not pass`)
    passage.over(false)
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / callsPerRound
}

function textOf({ fields = '', target = '/' }: FakeRequest): string {
  return `GET ${target} HTTP/1.1\r\nHost: shop.example\r\n${fields}\r\n`
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '9' }, only: { type: 'string' } },
})
const chosen = variants.filter(
  ({ name }) => values.only === undefined || name === 'none' || name === values.only,
)
const rows: string[][] = chosen.map(({ name }) => [name])
for (const client of Object.values(clients)) {
  const made = await Promise.all(
    chosen.map(async ({ policy }) =>
      policy === null ? [] : (await compose(policyOf('bench', policy))).gates,
    ),
  )
  const figures: number[][] = chosen.map(() => [])
  for (let at = -2; at < Number(values.rounds); at++)
    for (const [index, gates] of made.entries()) {
      const passage = new FakePassage(client)
      const us = round(passage, textOf(client), gates)
      if (at >= 0) figures[index]?.push(us)
    }
  const base = median(figures[0] ?? [])
  for (const [index, list] of figures.entries())
    rows[index]?.push((median(list) - (index === 0 ? 0 : base)).toFixed(2))
}
console.log(table(['guard', ...Object.keys(clients).map(name => `${name}: us`)], rows))
process.exit(0)
