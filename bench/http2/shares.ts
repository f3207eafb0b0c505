// Whose time it is: the samples of a profile by who owns the function that ran. The worker thread that carried the load is
// the profile with the most of our own functions in it. Native work counts for whoever called it.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { percent } from '../lib/statistics.ts'

interface Node {
  readonly id: number
  readonly callFrame: { readonly functionName: string; readonly url: string }
  readonly children?: readonly number[]
}
interface Profile {
  readonly nodes: readonly Node[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const owners: readonly (readonly [string, RegExp])[] = [
  [
    'node:http2, its streams, events and ticks',
    /^node:internal\/http2|^node:(?:internal\/)?(?:streams|events|stream_base|process\/task|timers)|^node:(?:events|stream|net)/,
  ],
  ['HTTP/2 of ours (src/wire/http2, src/edge/http2-*)', /src\/(?:wire\/http2|edge\/http2-)/],
  ['the exchange and HTTP/1.1 (src/)', /src\//],
  ['the rest of Node', /^node:/],
]

function ownerOf(node: Node): string | null {
  const { functionName, url } = node.callFrame
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (functionName === '(idle)') return ''
  if (functionName === '(program)') return 'native code outside of any call (nghttp2, libuv)'
  return owners.find(([, pattern]) => pattern.test(url))?.[0] ?? null
}

function shares(profile: Profile): Map<string, number> {
  const byId = new Map(profile.nodes.map(node => [node.id, node]))
  const parents = new Map<number, number>()
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node.id)
  const found = new Map<number, string>()
  const owner = (id: number): string => {
    const known = found.get(id)
    if (known !== undefined) return known
    const node = byId.get(id) as Node
    const parent = parents.get(id)
    const answer = ownerOf(node) ?? (parent === undefined ? 'other' : owner(parent))
    found.set(id, answer)
    return answer
  }
  const sums = new Map<string, number>()
  profile.samples.forEach((id, index) => {
    const name = owner(id)
    if (name !== '') sums.set(name, (sums.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0))
  })
  return sums
}

export function printShares(folder: string): void {
  const all = readdirSync(folder).map(file =>
    shares(JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile),
  )
  const ours = (one: ReadonlyMap<string, number>): number => one.get('the exchange and HTTP/1.1 (src/)') ?? 0
  const first = all.sort((a, b) => ours(b) - ours(a))[0]
  if (first === undefined) throw new Error(`no profile was written to ${folder}`)
  const total = [...first.values()].reduce((a, b) => a + b, 0)
  for (const [name, us] of [...first].sort((a, b) => b[1] - a[1]))
    console.log(`${percent(us / total).padStart(8)}  ${name}`)
}
