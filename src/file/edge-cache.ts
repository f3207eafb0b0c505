// The keys of `edge.cache`: the store that all caching routes share, its disk, the parent that is asked before services,
// and the peers that forget when we do.

import type { EvictionKind } from '../policy/evict/contract.ts'
import type { AddressService, EnvValue } from './checked.ts'
import type { CheckedCacheDisk, CheckedEdgeCache, CheckedParent, CheckedPeer } from './checked-caches.ts'
import { isIpv4, isIpv6 } from './network.ts'
import { secretReference, service } from './services.ts'
import { defined, either, into, listOf, strict } from './shapes.ts'
import { filePath } from './tls.ts'
import { choice, leaf, off, Refused, type Schema, size, sizeText, text, whole } from './values.ts'

const evictionKinds: readonly EvictionKind[] = [
  's3-fifo',
  'w-tinylfu',
  'sieve',
  'arc',
  'lru',
  'lfu',
  'clock',
  'fifo',
  'lifo',
  'mru',
  'random',
]

const diskObjectDefault = 256 * 1024 * 1024

const disk: Schema<CheckedCacheDisk> = into(
  strict(
    {
      directory: filePath('Where. Left out: in the state directory').optional(),
      size: size('How much it may take.', '16MB', '1024GB').prefault('10GB'),
      objectMax: size(
        'Larger bodies are not kept on it. Left out: 256MB, or a quarter of the size where that is less.',
        '1KB',
        '64GB',
      ).optional(),
    },
    { about: 'A second tier on disk: larger, and there again after a restart.' },
  ),
  ({ directory = null, size: bytes, objectMax }): CheckedCacheDisk | Refused =>
    objectMax !== undefined && objectMax > bytes
      ? new Refused("has an 'objectMax' above its 'size'", `Write at most ${sizeText(bytes)}.`)
      : {
          directory,
          bytes,
          objectBytesMax: objectMax ?? Math.min(diskObjectDefault, Math.floor(bytes / 4)),
        },
)

/** Scheme, host and port of an http(s) URL without a path. */
const place = (about: string, example: string): Schema<string> =>
  leaf<string>({
    about,
    allowed: `a URL such as '${example}', without a path, of at most 300 characters`,
    json: { type: 'string', minLength: 1, maxLength: 300, pattern: '^https?://' },
    parse: value => {
      if (typeof value !== 'string' || value.length > 300) return undefined
      const match = /^(https?:\/\/(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?)(\/.*)?$/i.exec(value)
      if (!match) return undefined
      if ((match[2] ?? '/') !== '/') return new Refused('has a path', `Write '${match[1]}'.`)
      return (match[1] as string).toLowerCase()
    },
  })

/** No service of a file can have this name. */
export const parentName = '(parent)'

/** Short patience: behind it stands the service itself. */
const parentKeys = {
  timeouts: { connect: '1s' },
  retry: { attempts: 0 },
}

function parentOf({ url, caFile }: { url: string; caFile?: string | undefined }): CheckedParent | Refused {
  const [, scheme = '', host = '', port] = /^(https?):\/\/(\[.*\]|[^:]+)(?::(\d+))?$/.exec(url) ?? []
  const plain = host.replace(/^\[|\]$/g, '')
  if (scheme === 'http' && caFile !== undefined)
    return new Refused("has 'caFile' with an http URL", "Write 'https://', or leave out 'caFile'.")
  const byName = !isIpv4(plain) && !isIpv6(plain)
  const tls = defined({ serverName: byName ? plain : undefined, caFile })
  const parsed = service.parse({
    addresses: [`${host}:${port ?? (scheme === 'https' ? 443 : 80)}`],
    ...parentKeys,
    ...(scheme === 'https' ? { tls } : {}),
  })
  return defined({ url, caFile, service: { name: parentName, ...parsed } as AddressService })
}

const parentUrl = place('Where it is.', 'https://shield.example')
const parent: Schema<CheckedParent> = either(
  'Another Tenfold that is asked before the services (origin shield): one fetch for all edges. Where it is down, services are asked.',
  into(parentUrl, url => parentOf({ url })),
  into(
    strict(
      {
        url: parentUrl,
        caFile: filePath("Authorities to trust (PEM) instead of the system's").optional(),
      },
      { about: 'With settings.' },
    ),
    keys => parentOf(keys),
  ),
)

const peer: Schema<CheckedPeer> = strict(
  {
    url: place('Its control API.', 'http://10.0.0.7:9900'),
    token: either(
      'Its admin token.',
      text('The token.', 'a token of at least 16 characters', {
        lengthMax: 200,
        pattern: /^[!-~]{16,}$/,
      }),
      secretReference,
    ) as Schema<EnvValue>,
  },
  { about: 'One other Tenfold.' },
)

const memoryDefault = 256 * 1024 * 1024
const objectDefault = 8 * 1024 * 1024

export const edgeCache: Schema<CheckedEdgeCache> = into(
  strict(
    {
      memory: size('Memory for answers, shared by all worker threads.', '4MB', '16GB').prefault(
        memoryDefault,
      ),
      entries: whole('Answers kept at once.', 100, 100_000_000).prefault(100_000),
      objectMax: size(
        'Larger bodies are not kept in memory. Left out: 8MB, or an eighth of the memory where that is less.',
        '1KB',
        '4GB',
      ).optional(),
      eviction: choice('Which answers go when it is full.', evictionKinds).prefault('s3-fifo'),
      disk: either('A second tier on disk. `false`: none.', disk, off('None.')).prefault(false),
      parent: parent.optional(),
      backgroundMax: whole(
        'Validations in the background at once, for each worker thread.',
        0,
        10_000,
      ).prefault(64),
      peers: listOf(
        'Other Tenfolds whose caches forget what is purged here, and the other way round if they name us.',
        peer,
        100,
      ).prefault([]),
    },
    {
      about: 'The store of all routes with `cache`. There is none without such a route.',
      elsewhere: {
        size: "Did you mean 'memory'?",
        ttl: "'ttl' is a key of 'cache' in a route.",
        swr: "'swr' is a key of 'cache' in a route.",
        policy: "Did you mean 'eviction'?",
        shield: "Did you mean 'parent'?",
        region: "'region' is a key of 'edge'.",
      },
    },
  ),
  (keys): CheckedEdgeCache | Refused => {
    const largest = Math.floor(keys.memory / 4)
    if (keys.objectMax !== undefined && keys.objectMax > largest)
      return new Refused(
        "has an 'objectMax' above a quarter of its 'memory'",
        `Write at most ${sizeText(largest)}, or more memory.`,
      )
    return defined({
      memoryBytes: keys.memory,
      entriesMax: keys.entries,
      objectBytesMax: keys.objectMax ?? Math.min(objectDefault, Math.floor(keys.memory / 8)),
      eviction: keys.eviction,
      disk: keys.disk === false ? undefined : keys.disk,
      parent: keys.parent,
      backgroundMax: keys.backgroundMax,
      peers: keys.peers,
    }) as CheckedEdgeCache
  },
)

export const region: Schema<string> = text(
  'Where this edge is, such as `fra`: names it in Cache-Status, and in `tenfold cache`.',
  'a name of small letters, digits and -',
  { pattern: /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, lengthMax: 40 },
)
