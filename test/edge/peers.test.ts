// Two hops with servers and clients that others wrote: nginx, haproxy and node:http as origins; undici, node:http and
// curl as clients. Bodies by checksum; what one side means must be what the other side gets.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { createServer, request as nodeRequest } from 'node:http'
import { Readable } from 'node:stream'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { Agent, request } from 'undici'
import { proxyRoute, startEdge, upstreamOf } from '../tools/edge-harness.ts'
import { startHaproxy, startNginx } from '../tools/peers.ts'

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const files = {
  '100k.bin': randomBytes(100_000),
  '1m.bin': randomBytes(1 << 20),
  '64m.bin': randomBytes(64 << 20),
  'small.txt': Buffer.from('hello'),
}

/** Tells what it was asked, and by path does what is asked of it. */
const node = createServer((incoming, response) => {
  const parts: Buffer[] = []
  incoming.on('data', (part: Buffer) => parts.push(part))
  incoming.on('end', () => {
    const body = Buffer.concat(parts)
    if (incoming.url?.includes('/echo')) {
      response.setHeader('X-Hash', hash(body))
      if (incoming.url.includes('length')) response.setHeader('Content-Length', body.length)
      if (incoming.url.includes('trailer')) response.setHeader('Trailer', 'X-End')
      response.write(body)
      if (incoming.url.includes('trailer')) response.addTrailers({ 'X-End': hash(body) })
      response.end()
      return
    }
    if (incoming.url?.includes('/early')) response.writeEarlyHints({ link: '</a.css>; rel=preload' })
    response.setHeader('Content-Type', 'application/json')
    response.end(
      JSON.stringify({
        method: incoming.method,
        url: incoming.url,
        headers: incoming.headers,
        length: body.length,
      }),
    )
  })
})
await new Promise<void>(resolve => node.listen(0, '127.0.0.1', resolve))
after(() => {
  node.closeAllConnections()
  return new Promise<void>(resolve => node.close(() => resolve()))
})
const nodePort = (node.address() as { port: number }).port
const compressed =
  'location /gzip/ { rewrite ^/gzip/(.*)$ /$1 break; gzip on; gzip_types *; gzip_min_length 1; gzip_proxied any; }'
const nginx = await startNginx({ after }, compressed, files)
const haproxy = await startHaproxy({ after }, nodePort)
const edge = await startEdge(
  { after },
  {
    routes: ['nginx', 'haproxy', 'node'].map(name =>
      proxyRoute(`/${name}/*`, {}, { upstream: name, rewritePrefix: { from: `/${name}`, to: '/' } }),
    ),
    upstreams: [
      upstreamOf('nginx', [nginx.port]),
      upstreamOf('haproxy', [haproxy.port]),
      upstreamOf('node', [nodePort]),
    ],
  },
)
const agent = new Agent({ connections: 20, pipelining: 1 })
after(() => agent.close())

async function get(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  const {
    statusCode,
    headers: got,
    body,
  } = await request(`${edge.url}${path}`, { dispatcher: agent, headers })
  return { status: statusCode, headers: got, body: Buffer.from(await body.arrayBuffer()) }
}

test("nginx's files come through unchanged: 100 KB, 1 MB, 64 MB, ranges, conditions, HEAD", async () => {
  for (const [name, bytes] of Object.entries(files)) {
    const whole = await get(`/nginx/${name}`)
    assert.equal(whole.status, 200)
    assert.equal(whole.headers['content-length'], String(bytes.length))
    assert.equal(hash(whole.body), hash(bytes))
  }
  const etag = (await get('/nginx/1m.bin')).headers.etag as string
  assert.equal((await get('/nginx/1m.bin', { 'If-None-Match': etag })).status, 304)
  const range = await get('/nginx/1m.bin', { Range: 'bytes=1000-200999' })
  assert.equal(range.status, 206)
  assert.ok(range.body.equals(files['1m.bin'].subarray(1000, 201_000)))
  const head = await request(`${edge.url}/nginx/1m.bin`, { dispatcher: agent, method: 'HEAD' })
  assert.equal(head.headers['content-length'], String(1 << 20))
  await head.body.dump()
  assert.equal((await get('/nginx/none')).status, 404)
})

test('a compressed answer of nginx in chunks is passed on as it is', async () => {
  const { headers, body } = await get('/nginx/gzip/small.txt', { 'Accept-Encoding': 'gzip' })
  assert.equal(headers['content-encoding'], 'gzip')
  assert.equal(headers['transfer-encoding'], 'chunked')
  assert.equal(gunzipSync(body).toString(), 'hello')
})

test('many clients at once get the right files from nginx, over connections that are used again', async () => {
  const names = ['100k.bin', '1m.bin', 'small.txt'] as const
  await Promise.all(
    Array.from({ length: 20 }, async (_, at) => {
      for (let i = 0; i < 30; i++) {
        const name = names[(at + i) % names.length] as keyof typeof files
        assert.equal(hash((await get(`/nginx/${name}`)).body), hash(files[name]))
      }
    }),
  )
  const { upstreams } = await edge.status()
  const member = upstreams.find(upstream => upstream.name === 'nginx')?.members[0]
  assert.ok((member?.connections ?? 99) <= 25, `${member?.connections} connections`)
})

test('uploads reach node:http, also through haproxy, with a length or in chunks, and come back the same', async () => {
  for (const name of ['node', 'haproxy']) {
    for (const size of [0, 1, 5_000, 20_000, 300_000, 8 << 20]) {
      const body = randomBytes(size)
      for (const kind of ['echo', 'echo-length', 'echo-trailer']) {
        const pieces = Array.from({ length: Math.ceil(size / 70_000) }, (_, at) =>
          body.subarray(at * 70_000, (at + 1) * 70_000),
        )
        const chunked = Readable.from(pieces)
        for (const upload of [body, chunked]) {
          const answer = await request(`${edge.url}/${name}/${kind}`, {
            dispatcher: agent,
            method: 'PUT',
            body: upload,
          })
          const back = Buffer.from(await answer.body.arrayBuffer())
          assert.equal(answer.statusCode, 200)
          assert.equal(answer.headers['x-hash'], hash(body), `${name} ${kind} ${size}`)
          assert.equal(hash(back), hash(body))
          if (kind === 'echo-trailer')
            assert.equal((answer.trailers as Record<string, string>)['x-end'], hash(body))
        }
      }
    }
  }
})

test('early hints of node:http reach a node:http client', async () => {
  const hints: unknown[] = []
  await new Promise<void>((resolve, reject) => {
    const asked = nodeRequest(`${edge.url}/node/early`, response => {
      response.resume()
      response.on('end', () => resolve())
    })
    asked.on('information', info => hints.push([info.statusCode, info.headers.link]))
    asked.on('error', reject)
    asked.end()
  })
  assert.deepEqual(hints, [[103, '</a.css>; rel=preload']])
})

test('Expect: 100-continue works from a node:http client to a node:http origin, also through haproxy', async () => {
  for (const name of ['node', 'haproxy']) {
    const body = randomBytes(100_000)
    const back = await new Promise<Buffer>((resolve, reject) => {
      const asked = nodeRequest(
        `${edge.url}/${name}/echo`,
        { method: 'POST', headers: { Expect: '100-continue', 'Content-Length': body.length } },
        response => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('end', () => resolve(Buffer.concat(parts)))
        },
      )
      asked.once('continue', () => asked.end(body))
      asked.on('error', reject)
      asked.flushHeaders()
    })
    assert.equal(hash(back), hash(body))
  }
})

test('curl gets, posts, speaks HTTP/1.0 and sends odd paths', async () => {
  const curl = (args: readonly string[]): Promise<string> =>
    new Promise((resolve, reject) => {
      const child = spawn('curl', ['-sS', '--max-time', '20', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
      let out = ''
      let errors = ''
      child.stdout.on('data', (text: Buffer) => {
        out += text.toString('latin1')
      })
      child.stderr.on('data', (text: Buffer) => {
        errors += text.toString()
      })
      child.on('error', reject)
      child.on('close', code => (code === 0 ? resolve(out) : reject(new Error(`curl: ${code} ${errors}`))))
    })
  assert.equal(await curl([`${edge.url}/nginx/small.txt`]), 'hello')
  assert.equal(await curl(['-0', `${edge.url}/nginx/small.txt`]), 'hello')
  assert.equal(await curl(['-0', '-d', 'posted', `${edge.url}/node/echo`]), 'posted')
  assert.equal(
    await curl(['-H', 'Transfer-Encoding: chunked', '-d', 'posted', `${edge.url}/haproxy/echo`]),
    'posted',
  )
  const asked = JSON.parse(await curl(['--path-as-is', `${edge.url}/node/a/../b/%7Ec`])) as { url: string }
  assert.equal(asked.url, '/b/~c')
  assert.match(
    await curl([
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      '--path-as-is',
      `${edge.url}/node/../../etc/passwd`,
    ]),
    /^400/,
  )
  assert.match(await curl(['-H', 'Accept: application/json', `${edge.url}/nowhere`]), /"no-route"/)
})
