// Static files as clients see them: over real sockets, with a real tree on a real disk, beside nginx where both must mean
// the same. A canary file outside of the root must never be seen, whatever is asked.

import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync, zstdDecompressSync } from 'node:zlib'
import { chromium } from 'playwright-core'
import type { RouteSpec } from '../../src/edge/snapshot.ts'
import { startEdge, until } from '../tools/edge-harness.ts'
import { startNginx } from '../tools/peers.ts'
import { RawPeer, type RawResponse } from '../tools/raw-peer.ts'

const canary = `canary ${randomBytes(16).toString('hex')}`
const tree = mkdtempSync(join(tmpdir(), 'tenfold-files-'))
after(() => rmSync(tree, { recursive: true, force: true }))
const root = join(tree, 'root')
const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

const script = `// ${'film '.repeat(600)}\nexport const film = 1\n`
const page = `<!doctype html><title>Films</title><body>${'<p>text</p>'.repeat(200)}</body>`
const big = randomBytes(3_000_000)
const middle = randomBytes(100_000)
const files: Record<string, string | Buffer> = {
  'index.html': page,
  'film.js': script,
  'plain.js': script,
  'old.js': script,
  'app-3f9a1c.js': script,
  'small.txt': 'hello',
  'empty.txt': '',
  'middle.bin': middle,
  'big.bin': big,
  'docs/index.html': '<title>docs</title>',
  'a b.txt': 'a name with a space',
  'ä.txt': 'umlaut',
  '100%.txt': 'percent',
  '.env': canary,
  '.git/config': canary,
  '.well-known/security.txt': 'Contact: x',
  'nothing/here.txt': 'x',
  'poem.txt': 'line\n'.repeat(300),
}

/** Their times are in the past, as those of files that were deployed: so their tags are strong from the start. */
function put(name: string, content: string | Buffer, ageSeconds = 3600): void {
  const path = join(root, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, content)
  const at = Math.floor(Date.now() / 1000) - ageSeconds
  utimesSync(path, at, at)
}

for (const [name, content] of Object.entries(files)) put(name, content)
put('film.js.br', brotliCompressSync(script))
put('film.js.gz', gzipSync(script))
put('old.js.br', brotliCompressSync('an older state'), 7200)
writeFileSync(join(tree, 'canary.txt'), canary)
mkdirSync(join(tree, 'root2'))
writeFileSync(join(tree, 'root2', 'canary.txt'), canary)
symlinkSync('../canary.txt', join(root, 'link-out.txt'))
symlinkSync('..', join(root, 'folder-out'))
symlinkSync(join(tree, 'canary.txt'), join(root, 'absolute-out.txt'))
symlinkSync('small.txt', join(root, 'link-in.txt'))
symlinkSync('docs', join(root, 'folder-in'))
symlinkSync('loop', join(root, 'loop'))
symlinkSync('../canary.txt', join(root, 'plain.js.br'))
symlinkSync('/proc/self/environ', join(root, 'environ'))
execFileSync('mkfifo', [join(root, 'pipe')])

type FilesAction = Extract<RouteSpec['action'], { kind: 'files' }>
function filesRoute(
  path: string,
  change: Partial<FilesAction> = {},
  rest: Partial<RouteSpec> = {},
): RouteSpec {
  return {
    id: path,
    match: { path },
    action: {
      kind: 'files',
      root,
      prefix: path.slice(0, -2),
      index: ['index.html'],
      precompressed: true,
      immutable: true,
      dotFiles: false,
      ...change,
    },
    ...rest,
  }
}

const compress = {
  encodings: ['zstd', 'br', 'gzip'],
  bytesMin: 256,
  types: ['text/*', 'application/json'],
  level: 'balanced',
} as const
const edge = await startEdge(
  { after },
  {
    workers: 2,
    accessLog: true,
    routes: [
      filesRoute('/static/*', { cacheControl: 'no-cache' }),
      filesRoute('/packed/*', {}, { compress }),
      filesRoute('/spa/*', { fallback: '/index.html' }),
      filesRoute('/dots/*', { dotFiles: true }),
      filesRoute('/plain/*', { precompressed: false }, { responseHeaders: { set: { 'X-Rule': 'yes' } } }),
      filesRoute('/*'),
    ],
  },
)

async function ask(target: string, fields = '', method = 'GET', peer?: RawPeer): Promise<RawResponse> {
  const client = peer ?? (await RawPeer.connect(edge.port))
  client.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)
  const response = await client.response(method)
  if (peer === undefined) client.destroy()
  return response
}

test('a file comes with its type, length, validators and nosniff; HEAD says the same without the body', async () => {
  for (const [name, type] of [
    ['small.txt', 'text/plain; charset=utf-8'],
    ['middle.bin', 'application/octet-stream'],
    ['big.bin', 'application/octet-stream'],
    ['empty.txt', 'text/plain; charset=utf-8'],
    ['a%20b.txt', 'text/plain; charset=utf-8'],
    ['%C3%A4.txt', 'text/plain; charset=utf-8'],
    ['100%25.txt', 'text/plain; charset=utf-8'],
    ['.well-known/security.txt', 'text/plain; charset=utf-8'],
    ['link-in.txt', 'text/plain; charset=utf-8'],
  ] as const) {
    const content = Buffer.from(files[name === 'link-in.txt' ? 'small.txt' : decodeURIComponent(name)]!)
    // Once from the disk, then from memory.
    for (let round = 0; round < 3; round++) {
      const got = await ask(`/static/${name}`)
      assert.equal(got.status, 200, name)
      assert.ok(got.complete)
      assert.equal(hash(got.body), hash(content), name)
      assert.equal(got.fields.get('content-type'), type)
      assert.equal(got.fields.get('content-length'), `${content.length}`)
      assert.equal(got.fields.get('x-content-type-options'), 'nosniff')
      assert.equal(got.fields.get('accept-ranges'), 'bytes')
      assert.equal(got.fields.get('cache-control'), 'no-cache')
      assert.match(got.fields.get('etag') ?? '', /^(?:W\/)?"[\w-]+"$/)
      assert.ok(Date.parse(got.fields.get('last-modified') ?? '') < Date.now() - 3_000_000)
      assert.equal(got.fields.get('vary'), undefined)
      const same = await ask(`/static/${name}`, '', 'HEAD')
      for (const field of ['content-type', 'content-length', 'last-modified', 'cache-control'])
        assert.equal(same.fields.get(field), got.fields.get(field), field)
      assert.equal(same.body.length, 0)
    }
  }
})

test('the rules of the route are on every answer of a file', async () => {
  for (const fields of ['', 'Range: bytes=0-1\r\n', 'If-None-Match: *\r\n'])
    assert.equal((await ask('/plain/small.txt', fields)).fields.get('x-rule'), 'yes', fields)
  assert.equal((await ask('/plain/big.bin')).fields.get('x-rule'), 'yes')
  assert.equal((await ask('/plain/docs')).fields.get('x-rule'), 'yes')
})

test('other methods are refused with what is allowed', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    const got = await ask('/static/small.txt', '', method)
    assert.equal(got.status, 405, method)
    assert.equal(got.fields.get('allow'), 'GET, HEAD')
  }
})

test('a folder without its slash is sent there, query and all; with it, its index is shown', async () => {
  const got = await ask('/static/docs?a=1&b=/x')
  assert.equal(got.status, 308)
  assert.equal(got.fields.get('location'), '/static/docs/?a=1&b=/x')
  assert.equal((await ask('/docs')).fields.get('location'), '/docs/')
  assert.equal((await ask('/folder-in')).fields.get('location'), '/folder-in/')
  assert.equal((await ask('/static')).fields.get('location'), '/static/')
  assert.equal((await ask('/static/docs/')).body.toString(), '<title>docs</title>')
  assert.equal((await ask('/static/')).body.toString(), page)
  assert.equal((await ask('/')).body.toString(), page)
  for (const path of ['/nothing/', '/small.txt/', '/none', '/none/', '/docs/none.html'])
    assert.equal((await ask(path)).status, 404, path)
})

test('a redirect to the slash never names another host', async () => {
  mkdirSync(join(root, 'evil.example'), { recursive: true })
  for (const path of [
    '//evil.example',
    '//evil.example/..',
    '/\\evil.example',
    '/%2fevil.example',
    '/.//evil.example',
  ]) {
    const got = await ask(path)
    assert.ok([400, 404].includes(got.status), `${path}: ${got.status}`)
    assert.equal(got.fields.get('location'), undefined)
  }
  assert.equal((await ask('/evil.example')).fields.get('location'), '/evil.example/')
})

test('a single-page application gets its page for paths without an ending, and 404 for files that are not there', async () => {
  for (const path of ['/spa/films/42', '/spa/', '/spa/docs-x/', '/spa/a%20b', '/spa/nothing/'])
    assert.equal((await ask(path)).body.toString(), page, path)
  assert.equal((await ask('/spa/small.txt')).body.toString(), 'hello')
  for (const path of ['/spa/none.js', '/spa/assets/none.css', '/spa/.git/config', '/spa/a//b'])
    assert.equal((await ask(path)).status, 404, path)
})

test('only files with a content hash in their name are immutable', async () => {
  const forever = 'public, max-age=31536000, immutable'
  assert.equal((await ask('/static/app-3f9a1c.js')).fields.get('cache-control'), forever)
  assert.equal((await ask('/static/film.js')).fields.get('cache-control'), 'no-cache')
  assert.equal((await ask('/film.js')).fields.get('cache-control'), undefined)
})

test('a packed file beside it is sent to who takes it, with its own tag; Vary is on all of them', async () => {
  const plain = await ask('/film.js')
  const br = await ask('/film.js', 'Accept-Encoding: gzip, br\r\n')
  const gzip = await ask('/film.js', 'Accept-Encoding: gzip\r\n')
  assert.equal(br.fields.get('content-encoding'), 'br')
  assert.equal(gzip.fields.get('content-encoding'), 'gzip')
  assert.equal(plain.fields.get('content-encoding'), undefined)
  assert.equal(brotliDecompressSync(br.body).toString(), script)
  assert.equal(gunzipSync(gzip.body).toString(), script)
  assert.equal(plain.body.toString(), script)
  const all = [plain, br, gzip]
  for (const got of all) {
    assert.equal(got.fields.get('vary'), 'Accept-Encoding')
    assert.equal(got.fields.get('content-type'), 'text/javascript; charset=utf-8')
  }
  assert.equal(new Set(all.map(got => got.fields.get('etag'))).size, 3)
  const tag = br.fields.get('etag')
  const again = await ask('/film.js', `Accept-Encoding: br\r\nIf-None-Match: ${tag}\r\n`)
  assert.equal(again.status, 304)
  assert.equal(again.fields.get('vary'), 'Accept-Encoding')
  assert.equal((await ask('/film.js', `If-None-Match: ${tag}\r\n`)).status, 200)
  const part = await ask('/film.js', `Accept-Encoding: br\r\nRange: bytes=0-9\r\nIf-Range: ${tag}\r\n`)
  assert.equal(part.status, 206)
  assert.deepEqual(part.body, br.body.subarray(0, 10))
  assert.equal(part.fields.get('content-encoding'), 'br')
  const head = await ask('/film.js', 'Accept-Encoding: br\r\n', 'HEAD')
  assert.equal(head.fields.get('content-length'), `${br.body.length}`)
})

test('a packed file that is older than its file, or leads outside, is not used; without the switch none is', async () => {
  const fields = 'Accept-Encoding: br\r\n'
  assert.equal((await ask('/old.js', fields)).body.toString(), script)
  assert.equal((await ask('/plain.js', fields)).body.toString(), script)
  assert.equal((await ask('/plain/film.js', fields)).fields.get('content-encoding'), undefined)
  assert.equal((await ask('/plain/film.js', fields)).fields.get('vary'), undefined)
})

test('what has no packed file is packed here where the route says so, and remembered', async () => {
  const unpack = { zstd: zstdDecompressSync, br: brotliDecompressSync, gzip: gunzipSync }
  for (const coding of ['zstd', 'br', 'gzip'] as const) {
    for (let round = 0; round < 3; round++) {
      const got = await ask('/packed/poem.txt', `Accept-Encoding: ${coding}\r\n`)
      assert.equal(got.fields.get('content-encoding'), coding)
      assert.equal(unpack[coding](got.body).toString(), files['poem.txt'])
      assert.equal(got.fields.get('content-length'), `${got.body.length}`)
      assert.match(got.fields.get('etag') ?? '', new RegExp(`^W/".*-${coding}"$`))
      assert.equal(got.fields.get('vary'), 'Accept-Encoding')
    }
  }
  assert.equal(
    (await ask('/packed/poem.txt', 'Accept-Encoding: gzip, br, zstd\r\n')).fields.get('content-encoding'),
    'zstd',
  )
  const plain = await ask('/packed/poem.txt')
  assert.equal(plain.fields.get('vary'), 'Accept-Encoding')
  const coded = await ask('/packed/poem.txt', 'Accept-Encoding: br\r\n')
  const tag = coded.fields.get('etag')
  assert.equal(
    (await ask('/packed/poem.txt', `Accept-Encoding: br\r\nIf-None-Match: ${tag}\r\n`)).status,
    304,
  )
  const part = await ask('/packed/poem.txt', 'Accept-Encoding: br\r\nRange: bytes=0-3\r\n')
  assert.equal(part.status, 206)
  assert.equal(part.body.toString(), 'line')
  assert.equal(part.fields.get('content-encoding'), undefined)
  for (const path of ['/packed/middle.bin', '/packed/small.txt']) {
    const got = await ask(path, 'Accept-Encoding: gzip\r\n')
    assert.equal(got.fields.get('content-encoding'), undefined, path)
    assert.equal(got.fields.get('vary'), undefined, path)
  }
})

test('406 only where nothing is possible', async () => {
  assert.equal((await ask('/film.js', 'Accept-Encoding: identity;q=0\r\n')).status, 406)
  assert.equal((await ask('/film.js', 'Accept-Encoding: identity;q=0, br\r\n')).status, 200)
  assert.equal((await ask('/small.txt', 'Accept-Encoding: identity;q=0\r\n')).status, 200)
})

test('both workers give a file the same tag, and a reload keeps it', async () => {
  const tags = new Set<string | undefined>()
  for (let i = 0; i < 24; i++) tags.add((await ask('/small.txt')).fields.get('etag'))
  await edge.applySnapshot({ ...edge.snapshot, version: edge.snapshot.version + 1 })
  for (let i = 0; i < 8; i++) tags.add((await ask('/small.txt')).fields.get('etag'))
  assert.equal(tags.size, 1)
  assert.match([...tags][0] ?? '', /^"/)
})

test('conditions hold in the order of RFC 9110 13.2.2', async () => {
  for (const name of ['middle.bin', 'big.bin']) {
    await until('the file to have rested for both workers', async () => {
      const tags: string[] = []
      for (let i = 0; i < 20; i++) tags.push((await ask(`/${name}`, '', 'HEAD')).fields.get('etag') ?? '')
      return tags.every(tag => tag.startsWith('"'))
    })
    const { fields } = await ask(`/${name}`)
    const tag = fields.get('etag')
    const date = fields.get('last-modified')
    const before = new Date(Date.parse(date ?? '') - 1000).toUTCString()
    const status = async (conditions: string, method = 'GET'): Promise<number> =>
      (await ask(`/${name}`, conditions, method)).status
    assert.equal(await status(`If-None-Match: ${tag}\r\n`), 304)
    assert.equal(await status(`If-None-Match: ${tag}\r\n`, 'HEAD'), 304)
    assert.equal(await status(`If-None-Match: W/${tag}\r\n`), 304)
    assert.equal(await status(`If-None-Match: "x"\r\nIf-None-Match: ${tag}\r\n`), 304)
    assert.equal(await status('If-None-Match: "x"\r\n'), 200)
    assert.equal(await status(`If-Modified-Since: ${date}\r\n`), 304)
    assert.equal(await status(`If-Modified-Since: ${before}\r\n`), 200)
    assert.equal(await status(`If-None-Match: "x"\r\nIf-Modified-Since: ${date}\r\n`), 200)
    assert.equal(await status(`If-Match: ${tag}\r\n`), 200)
    assert.equal(await status('If-Match: "x"\r\n'), 412)
    assert.equal(await status(`If-Match: W/${tag}\r\n`), 412)
    assert.equal(await status(`If-Unmodified-Since: ${before}\r\n`), 412)
    assert.equal(await status(`If-Unmodified-Since: ${date}\r\n`), 200)
    assert.equal(await status(`If-Match: ${tag}\r\nIf-Unmodified-Since: ${before}\r\n`), 200)
    assert.equal(await status(`If-Match: ${tag}\r\nIf-None-Match: ${tag}\r\n`), 304)
    assert.equal(await status(`If-None-Match: ${tag}\r\nRange: bytes=0-0\r\n`), 304)
    assert.equal(await status(`Range: bytes=0-0\r\nIf-Range: ${tag}\r\n`), 206)
    assert.equal(await status(`Range: bytes=0-0\r\nIf-Range: W/${tag}\r\n`), 200)
    assert.equal(await status('Range: bytes=0-0\r\nIf-Range: "x"\r\n'), 200)
    assert.equal(await status(`Range: bytes=0-0\r\nIf-Range: ${date}\r\n`), 206)
    assert.equal(await status(`Range: bytes=0-0\r\nIf-Range: ${before}\r\n`), 200)
    const got = await ask(`/${name}`, `If-None-Match: ${tag}\r\n`)
    assert.equal(got.fields.get('etag'), tag)
    assert.equal(got.fields.get('content-length'), undefined)
  }
})

test('ranges, one or several, are the bytes of the file, from memory and from the disk', async () => {
  for (const [name, content] of [
    ['middle.bin', middle],
    ['big.bin', big],
  ] as const) {
    const { length } = content
    for (const [range, from, to] of [
      ['0-0', 0, 1],
      ['5-70000', 5, 70_001],
      ['-1', length - 1, length],
      [`${length - 5}-`, length - 5, length],
      ['0-', 0, length],
      [`-${length * 2}`, 0, length],
    ] as const) {
      const got = await ask(`/${name}`, `Range: bytes=${range}\r\n`)
      assert.equal(got.status, 206, range)
      assert.equal(got.fields.get('content-range'), `bytes ${from}-${to - 1}/${length}`)
      assert.equal(hash(got.body), hash(content.subarray(from, to)), range)
    }
    const several = await ask(`/${name}`, 'Range: bytes=90000-90009,0-66000,-20\r\n')
    assert.equal(several.status, 206)
    assert.ok(several.complete)
    const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(
      several.fields.get('content-type') ?? '',
    )?.[1]
    const parts = several.body.toString('latin1').split(`--${boundary}`)
    assert.equal(parts.length, 5)
    assert.equal(parts[4], '--\r\n')
    const ranges = [
      [90_000, 90_010],
      [0, 66_001],
      [length - 20, length],
    ] as const
    for (const [at, [from, to]] of ranges.entries()) {
      const bytes = content.subarray(from, to).toString('latin1')
      const type = 'Content-Type: application/octet-stream'
      assert.equal(
        parts[at + 1],
        `\r\n${type}\r\nContent-Range: bytes ${from}-${to - 1}/${length}\r\n\r\n${bytes}\r\n`,
      )
    }
    const unsatisfied = await ask(`/${name}`, `Range: bytes=${length}-\r\n`)
    assert.equal(unsatisfied.status, 416)
    assert.equal(unsatisfied.fields.get('content-range'), `bytes */${length}`)
    const many = Array.from({ length: 200 }, (_, i) => `${i * 2}-${i * 2}`).join(',')
    for (const hostile of [many, '0-,0-,0-,0-', '0-,0-,0-,0-,0-,0-,0-,0-', 'x-y', '5-4']) {
      const got = await ask(`/${name}`, `Range: bytes=${hostile}\r\n`)
      assert.equal(got.status, 200, hostile.slice(0, 40))
      assert.equal(hash(got.body), hash(content))
    }
    assert.equal((await ask(`/${name}`, 'Range: bytes=0-0\r\n', 'HEAD')).status, 200)
  }
  assert.equal((await ask('/empty.txt', 'Range: bytes=0-0\r\n')).status, 416)
})

/** Every way to name a place outside that we have heard of; `TARGET` stands for what lies there. */
const climbs: readonly string[] = [
  '../',
  '..%2f',
  '..%2F',
  '%2e%2e/',
  '%2e%2e%2f',
  '%2E%2E%2F',
  '.%2e/',
  '%2e./',
  '..%5c',
  '..\\',
  '%2e%2e%5c',
  '..%252f',
  '%252e%252e/',
  '%252e%252e%252f',
  '..%c0%af',
  '..%c1%9c',
  '%c0%ae%c0%ae/',
  '%c0%ae%c0%ae%c0%af',
  '%e0%80%ae%e0%80%ae/',
  '%e0%80%ae%e0%80%ae%e0%80%af',
  '%f0%80%80%ae%f0%80%80%ae/',
  '..%e0%80%af',
  '..%ef%bc%8f',
  '%ef%bc%8e%ef%bc%8e/',
  '..;/',
  '..;a=b/',
  '..%3b/',
  '..%00/',
  '..%0d/',
  '..%0a/',
  '..%09/',
  '..%20/',
  '.. /',
  '.../',
  '..../',
  '....//',
  '.././',
  './../',
  '..%u2216',
  '..%u2215',
  '%u002e%u002e/',
  '..%uff0f',
  '..%%32%66',
  '..%%35%63',
  '%%32%65%%32%65/',
  '..?/',
  '..%3f/',
  '..%23/',
  '~/',
  '..//',
  '/../',
  '//../',
  './/../',
  'docs/../../',
  'docs/..%2f../',
  'docs/%2e%2e/%2e%2e/',
  'docs//..//../',
  'docs/./../.././',
  'folder-out/',
  'folder-in/../../',
  'folder-in/..%2f../',
  'docs%2f..%2f..%2f',
  'docs%5c..%5c..%5c',
  'link-out.txt/../',
  'nothing%00/../../',
]
const outside: readonly string[] = [
  'canary.txt',
  'root2/canary.txt',
  'etc/passwd',
  'root/.env',
  'root/.git/config',
]

test('no path leads out of the root, however it is written', async () => {
  const targets: string[] = []
  for (const climb of climbs)
    for (const depth of [1, 2, 7]) targets.push(...outside.map(name => climb.repeat(depth) + name))
  targets.push(
    '.env',
    '%2eenv',
    '.git/config',
    '%2egit/config',
    '.git%2fconfig',
    'docs/../.env',
    '.env/',
    '.ENV',
    '.env%00.txt',
    '.env%20',
    '.env.',
    '.env::$DATA',
    'link-out.txt',
    'absolute-out.txt',
    'folder-out/canary.txt',
    'environ',
    'loop',
    'pipe',
    'folder-out',
    'folder-out/',
    'folder-out/root2/canary.txt',
    'plain.js.br',
    `${tree}/canary.txt`,
    `/${tree}/canary.txt`,
    `%2f${tree.slice(1)}/canary.txt`,
    `file://${tree}/canary.txt`,
    'proc/self/environ',
    'C:/canary.txt',
    'c:%5ccanary.txt',
    '%5c%5chost%5ccanary.txt',
    '%2f%2fhost/canary.txt',
    `${'a/'.repeat(2000)}`,
    'a'.repeat(3000),
    '%',
    '%2',
    '%zz',
    '%c3',
  )
  assert.ok(targets.length >= 700, `${targets.length}`)
  const seen = new Map<number, number>()
  let peer = await RawPeer.connect(edge.port)
  for (const prefix of ['/', '/static/', '/spa/', '/packed/'])
    for (const target of targets) {
      if (peer.over !== '') peer = await RawPeer.connect(edge.port)
      const got = await ask(prefix + target, 'Accept-Encoding: br\r\n', 'GET', peer)
      const text = got.body.toString('latin1')
      assert.ok(!text.includes(canary), `${prefix}${target} gave the canary`)
      assert.ok(!/root:|PATH=/.test(text), `${prefix}${target} gave a file of the system`)
      if (got.status === 200)
        assert.equal(
          got.body.toString('utf8').includes('Films') || prefix !== '/spa/',
          true,
          `${prefix}${target}`,
        )
      else assert.ok([308, 400, 404, 414].includes(got.status), `${prefix}${target}: ${got.status}`)
      if (got.status === 308) assert.match(got.fields.get('location') ?? '', /^\/[^/]/)
      seen.set(got.status, (seen.get(got.status) ?? 0) + 1)
      if (got.fields.get('connection') === 'close') {
        peer.destroy()
        peer = await RawPeer.connect(edge.port)
      }
    }
  peer.destroy()
  assert.ok((seen.get(404) ?? 0) > 500, JSON.stringify([...seen]))
  assert.equal((await ask('/dots/.env')).body.toString(), canary)
})

test('a file that is replaced is seen; one that is being sent is sent whole as it was', async t => {
  put('new.txt', 'one')
  for (let i = 0; i < 4; i++) assert.equal((await ask('/new.txt')).body.toString(), 'one')
  put('next.txt', 'two')
  renameSync(join(root, 'next.txt'), join(root, 'new.txt'))
  await until('the new file', async () => (await ask('/new.txt')).body.toString() === 'two')
  // In place, with the same length, and the time set back.
  const { mtime } = statSync(join(root, 'new.txt'))
  writeFileSync(join(root, 'new.txt'), 'six')
  utimesSync(join(root, 'new.txt'), mtime, mtime)
  await until('the rewritten file', async () => (await ask('/new.txt')).body.toString() === 'six')
  unlinkSync(join(root, 'new.txt'))
  await until('404', async () => (await ask('/new.txt')).status === 404)

  const old = randomBytes(24 << 20)
  put('large.bin', old)
  const peer = await edge.connect()
  t.after(() => peer.destroy())
  peer.write('GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n')
  await peer.head()
  peer.socket.pause()
  put('next.bin', randomBytes(24 << 20))
  renameSync(join(root, 'next.bin'), join(root, 'large.bin'))
  peer.socket.resume()
  assert.equal(hash(await peer.bytes(old.length)), hash(old))
  unlinkSync(join(root, 'large.bin'))
})

test('a file that shrinks or is rewritten while it is sent cuts the answer: nobody takes a mixture for whole', async () => {
  for (const how of ['shrunk', 'rewritten'] as const) {
    put('moving.bin', randomBytes(48 << 20))
    const peer = await edge.connect()
    peer.write('GET /moving.bin HTTP/1.1\r\nHost: x\r\n\r\n')
    const head = await peer.head()
    assert.match(head ?? '', /Content-Length: 50331648/)
    peer.socket.pause()
    const descriptor = openSync(join(root, 'moving.bin'), 'r+')
    if (how === 'shrunk') ftruncateSync(descriptor, 1000)
    closeSync(descriptor)
    if (how === 'rewritten') writeFileSync(join(root, 'moving.bin'), randomBytes(48 << 20))
    peer.socket.resume()
    const bytes = await peer.bytes(48 << 20)
    assert.ok(bytes.length < 48 << 20, how)
    assert.notEqual(peer.over, '')
  }
  await edge.idle()
})

test('a client that goes away amid a large file leaves nothing behind; slow ones get all of it', async () => {
  put('stay.bin', big)
  for (let i = 0; i < 12; i++) {
    const peer = await edge.connect()
    peer.write('GET /stay.bin HTTP/1.1\r\nHost: x\r\n\r\n')
    await peer.head()
    peer.destroy()
  }
  const peers = await Promise.all(Array.from({ length: 8 }, () => edge.connect()))
  for (const peer of peers) peer.write('GET /stay.bin HTTP/1.1\r\nHost: x\r\n\r\n')
  for (const peer of peers) assert.equal(hash((await peer.response()).body), hash(big))
  await edge.idle()
})

test('many requests at once for files that come and go are whole answers or 404', async () => {
  const contents = ['a'.repeat(50_000), 'b'.repeat(70_000), 'c'.repeat(300_000), 'd'.repeat(10)]
  put('flip.txt', contents[0]!)
  let stop = false
  const writer = (async () => {
    for (let i = 0; !stop; i++) {
      put('flip.tmp', contents[i % contents.length]!)
      renameSync(join(root, 'flip.tmp'), join(root, 'flip.txt'))
      await new Promise(resolve => setImmediate(resolve))
    }
  })()
  const clients = Array.from({ length: 8 }, async () => {
    const peer = await edge.connect()
    for (let i = 0; i < 60; i++) {
      const got = await ask('/packed/flip.txt', i % 2 ? 'Accept-Encoding: gzip\r\n' : '', 'GET', peer)
      assert.equal(got.status, 200)
      const text = (
        got.fields.get('content-encoding') === 'gzip' ? gunzipSync(got.body) : got.body
      ).toString()
      assert.ok(contents.includes(text), `${text.length} bytes of ${text[0]} and ${text.at(-1)}`)
    }
  })
  await Promise.all(clients).finally(() => {
    stop = true
  })
  await writer
})

const curl = promisify(execFile)

test('curl unpacks what it asked for, and goes on with a download that was broken off', async () => {
  for (const name of ['film.js', 'packed/poem.txt']) {
    const { stdout } = await curl('curl', ['-sS', '--compressed', '--fail', `${edge.url}/${name}`])
    assert.equal(stdout, files[name.replace('packed/', '')])
  }
  const target = join(tree, 'download.bin')
  writeFileSync(target, big.subarray(0, 1_234_567))
  await curl('curl', ['-sS', '--fail', '-C', '-', '-o', target, `${edge.url}/big.bin`])
  assert.equal(hash(readFileSync(target)), hash(big))
})

test('a browser runs an application whose page, module and style are served so, and revalidates them', async () => {
  put(
    'site/index.html',
    '<!doctype html><link rel=stylesheet href=/site/s.css><script type=module src=/site/m.mjs></script><h1>?</h1>',
  )
  put('site/s.css', `h1 { color: rgb(1, 2, 3) } ${'/* */'.repeat(100)}`)
  put('site/m.mjs', `${'// pad\n'.repeat(100)}document.querySelector('h1').textContent = 'films'`)
  await edge.applySnapshot({
    ...edge.snapshot,
    version: edge.snapshot.version + 1,
    routes: [filesRoute('/*', {}, { compress })],
  })
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
  try {
    const tab = await browser.newPage()
    await tab.goto(`${edge.url}/site`)
    await tab.waitForFunction('document.querySelector("h1").textContent === "films"')
    assert.equal(tab.url(), `${edge.url}/site/`)
    const color = await tab.evaluate('getComputedStyle(document.querySelector("h1")).color')
    assert.equal(color, 'rgb(1, 2, 3)')
    const reloaded = tab.waitForResponse(response => response.url().endsWith('m.mjs'))
    await tab.reload()
    assert.ok([200, 304].includes((await reloaded).status()))
  } finally {
    await browser.close()
  }
})

test('nginx means the same by conditions and ranges, but for what is listed', async t => {
  const nginx = await startNginx(t, 'etag on;', { 'file.bin': middle })
  const at = Math.floor(Date.now() / 1000) - 3600
  utimesSync(join(nginx.root, 'file.bin'), at, at)
  put('file.bin', middle)
  await edge.applySnapshot({
    ...edge.snapshot,
    version: edge.snapshot.version + 1,
    routes: [filesRoute('/*')],
  })
  const date = new Date(at * 1000).toUTCString()
  utimesSync(join(root, 'file.bin'), at, at)
  const before = new Date((at - 1) * 1000).toUTCString()
  const after = new Date((at + 1) * 1000).toUTCString()
  const cases = [
    '',
    'If-None-Match: TAG',
    'If-None-Match: W/TAG',
    'If-None-Match: "x", TAG',
    'If-None-Match: *',
    'If-None-Match: "x"',
    'If-Match: TAG',
    'If-Match: *',
    'If-Match: "x"',
    `If-Modified-Since: ${date}`,
    `If-Modified-Since: ${before}`,
    `If-Unmodified-Since: ${date}`,
    `If-Unmodified-Since: ${before}`,
    `If-Unmodified-Since: ${after}`,
    'If-Modified-Since: rubbish',
    `If-None-Match: "x"\r\nIf-Modified-Since: ${date}`,
    'Range: bytes=0-0',
    'Range: bytes=-1',
    'Range: bytes=99999-',
    'Range: bytes=100000-',
    'Range: bytes=-0',
    'Range: bytes=5-2',
    'Range: bytes=x',
    'Range: lines=0-1',
    'Range: bytes=0-0,-1',
    'Range: bytes=0-99999',
    'Range: bytes=0-199999',
    'Range: bytes=0-0\r\nIf-Range: TAG',
    'Range: bytes=0-0\r\nIf-Range: "x"',
    `Range: bytes=0-0\r\nIf-Range: ${date}`,
    `Range: bytes=0-0\r\nIf-Range: ${before}`,
    'Range: bytes=0-0\r\nIf-None-Match: TAG',
    'If-Match: W/TAG',
    `If-Modified-Since: ${after}`,
    'Range: bytes=0-,0-,0-,0-',
    'Range: bytes=200000-,0-4',
    'Range: bytes=0-4,5-9',
  ]
  const differences: Record<string, [number, number, string]> = {
    // RFC 9110 13.1.3 asks for "not later than"; nginx's default wants the very date (`if_modified_since exact`).
    [`If-Modified-Since: ${after}`]: [200, 304, 'nginx compares dates for equality'],
    'Range: bytes=5-2': [416, 200, 'RFC 9110 14.1.1: invalid, so it is ignored'],
    'Range: bytes=x': [416, 200, 'the same'],
    'Range: bytes=0-4,5-9': [206, 206, 'ranges that touch are joined (RFC 9110 15.3.7.2)'],
  }
  const run = async (port: number, path: string, fields: string): Promise<string> => {
    const peer = await RawPeer.connect(port)
    const send = async (more: string): Promise<RawResponse> => {
      peer.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`)
      return await peer.response()
    }
    const tag = (await send('')).fields.get('etag') ?? ''
    const got = await send(fields === '' ? '' : `${fields.replaceAll('TAG', tag)}\r\n`)
    peer.destroy()
    const multi = got.fields.get('content-type')?.startsWith('multipart/') ?? false
    const body = multi
      ? got.body
          .toString('latin1')
          .match(/Content-Range: .*/gi)
          ?.join()
      : hash(got.body)
    return `${got.status} ${got.fields.get('content-range')} ${got.status < 300 ? body : ''}`
  }
  for (const fields of cases) {
    const theirs = await run(nginx.port, '/file.bin', fields)
    const ours = await run(edge.port, '/file.bin', fields)
    const known = differences[fields]
    if (known === undefined) assert.equal(ours, theirs, JSON.stringify(fields))
    else
      assert.deepEqual(
        [theirs.slice(0, 3), ours.slice(0, 3)],
        [`${known[0]}`, `${known[1]}`],
        `${fields}: ${known[2]}`,
      )
  }
})
