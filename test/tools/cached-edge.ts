// Edges with a cache, for tests: specs of which a test writes only what it is about.

import { request } from 'node:http'
import type { CacheSpec, EdgeCacheSpec, EdgeSnapshot, RouteSpec } from '../../src/edge/snapshot.ts'
import { proxyRoute } from './edge-harness.ts'
import { answering, type Script } from './raw-origin.ts'
import type { RawMessage, RawPeer } from './raw-peer.ts'

export function cacheSpec(change: Partial<CacheSpec> = {}): CacheSpec {
  return {
    key: { query: 'all', headers: [], cookies: [], device: false, languages: [] },
    tags: [],
    bypass: { headers: [], cookies: [], query: [] },
    immutable: false,
    heuristics: false,
    stripCookies: false,
    refreshAhead: 0,
    collapseMs: 20_000,
    ...change,
  }
}

export function cachedRoute(
  path = '/*',
  change: Partial<CacheSpec> = {},
  route: Partial<RouteSpec> = {},
  action: Parameters<typeof proxyRoute>[2] = {},
): RouteSpec {
  return proxyRoute(path, { cache: cacheSpec(change), ...route }, action)
}

/** What a snapshot has more. */
export function withCache(
  change: Partial<EdgeCacheSpec> = {},
  store: Partial<EdgeCacheSpec['store']> = {},
): Partial<EdgeSnapshot> {
  return {
    cache: {
      store: {
        memoryBytes: 16 << 20,
        entriesMax: 10_000,
        objectBytesMax: 2 << 20,
        eviction: 's3-fifo',
        ...store,
      },
      name: 'tenfold',
      backgroundMax: 64,
      ...change,
    },
  }
}

/** What an origin was asked, or a client answered. */
export interface Asked {
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
}

export function asked({ startLine, fields }: RawMessage): Asked {
  const [method = '', target = ''] = startLine.split(' ')
  return { method, target, headers: Object.fromEntries(fields) }
}

/** As `answering`, by what was asked. */
export function answers(
  give: (
    asked: Asked,
    peer: RawPeer,
    index: number,
  ) => string | Buffer | undefined | Promise<string | Buffer | undefined>,
): Script {
  return answering((request, peer, index) => give(asked(request), peer, index))
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Buffer
  readonly text: string
}

/** A request on a connection of its own, with no fields but these: `fetch` adds Cache-Control where there are conditions. */
export async function ask(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, headers, method, agent: false }, response => {
      const pieces: Buffer[] = []
      response.on('data', (piece: Buffer) => pieces.push(piece))
      response.on('error', reject)
      response.on('end', () => {
        const bytes = Buffer.concat(pieces)
        const fields = response.headers as Record<string, string>
        resolve({ status: response.statusCode ?? 0, headers: fields, bytes, text: bytes.toString('latin1') })
      })
    })
    call.on('error', reject)
    call.end()
  })
}
