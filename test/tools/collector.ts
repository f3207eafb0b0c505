// An OTLP collector for tests: a real HTTP server that takes traces in the JSON form and judges each batch strictly by
// the protocol's description: shapes, lengths of ids, times, kinds, values. Keeps the spans. What breaks a rule is kept
// in `wrong` and fails the test at its end.

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Ending } from './edge-harness.ts'
import { until } from './edge-harness.ts'

export interface SpanSeen {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly traceState: string
  readonly flags: number
  readonly name: string
  /** 2 server, 3 client. */
  readonly kind: number
  readonly startNs: bigint
  readonly endNs: bigint
  readonly attributes: ReadonlyMap<string, string | number | boolean>
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number
}

export interface Collector {
  readonly endpoint: string
  readonly spans: SpanSeen[]
  /** Header fields of each batch that came. */
  readonly batches: IncomingMessage['headers'][]
  /** How many further batches are answered by what `refusal` gives. */
  refuse(count: number, refusal: { status: number; fields?: Record<string, string>; body?: string }): void
  /** Batches are kept waiting without an answer from now on; `false` answers them. */
  hold(held: boolean): void
  /** Waits until `count` spans have come. */
  spansOf(count: number): Promise<SpanSeen[]>
}

type Json = Record<string, unknown>

export async function startCollector(context: Ending): Promise<Collector> {
  const spans: SpanSeen[] = []
  const batches: IncomingMessage['headers'][] = []
  const wrong: string[] = []
  const waiting: (() => void)[] = []
  let refused = 0
  let refusal: { status: number; fields?: Record<string, string>; body?: string } = { status: 503 }
  let held = false
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      batches.push(request.headers)
      if (held) waiting.push(() => take(request, response, body))
      else take(request, response, body)
    })
  })
  function take(request: IncomingMessage, response: ServerResponse, body: string): void {
    if (refused > 0) {
      refused--
      response.writeHead(refusal.status, refusal.fields).end(refusal.body ?? '')
      if (refusal.status >= 300) return
    }
    try {
      assert.equal(request.method, 'POST')
      assert.equal(request.url, '/v1/traces')
      assert.equal(request.headers['content-type'], 'application/json')
      spans.push(...readExport(JSON.parse(body)))
    } catch (cause) {
      wrong.push(`${(cause as Error).message}: ${body.slice(0, 2_000)}`)
    }
    if (!response.writableEnded) response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
  }
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.closeAllConnections()
    server.close()
    assert.deepEqual(wrong, [])
  })
  const { port } = server.address() as { port: number }
  return {
    endpoint: `http://127.0.0.1:${port}/v1/traces`,
    spans,
    batches,
    refuse: (count, how) => {
      refused = count
      refusal = how
    },
    hold: now => {
      held = now
      if (!now) for (const one of waiting.splice(0)) one()
    },
    spansOf: async count => {
      await until(`${count} spans at the collector`, () => spans.length >= count || wrong.length > 0)
      assert.deepEqual(wrong, [])
      return spans
    },
  }
}

function only(value: Json, allowed: readonly string[], where: string): void {
  for (const key of Object.keys(value)) assert.ok(allowed.includes(key), `${where} has an unknown key ${key}`)
}

function listOf(value: unknown, where: string): Json[] {
  assert.ok(Array.isArray(value), `${where} is a list`)
  return value as Json[]
}

/** ExportTraceServiceRequest. */
function readExport(body: Json): SpanSeen[] {
  only(body, ['resourceSpans'], 'the request')
  return listOf(body.resourceSpans, 'resourceSpans').flatMap(part => {
    only(part, ['resource', 'scopeSpans', 'schemaUrl'], 'resourceSpans')
    const resource = readAttributes((part.resource as Json).attributes)
    const service = resource.get('service.name')
    assert.equal(typeof service, 'string', 'service.name is there')
    return listOf(part.scopeSpans, 'scopeSpans').flatMap(scope => {
      only(scope, ['scope', 'spans', 'schemaUrl'], 'scopeSpans')
      assert.equal(typeof (scope.scope as Json).name, 'string')
      return listOf(scope.spans, 'spans').map(span => readSpan(span, service as string))
    })
  })
}

const spanKeys = [
  'traceId',
  'spanId',
  'traceState',
  'parentSpanId',
  'flags',
  'name',
  'kind',
  'startTimeUnixNano',
  'endTimeUnixNano',
  'attributes',
  'status',
]

function readSpan(span: Json, service: string): SpanSeen {
  only(span, spanKeys, 'a span')
  const id = (key: string, digits: number): string => {
    const value = span[key]
    assert.match(String(value), new RegExp(`^(?!0+$)[0-9a-f]{${digits}}$`), `${key} ${String(value)}`)
    return value as string
  }
  const time = (key: string): bigint => {
    assert.match(String(span[key]), /^\d{19}$/, `${key} is in nanoseconds, as text`)
    assert.equal(typeof span[key], 'string')
    return BigInt(span[key] as string)
  }
  const startNs = time('startTimeUnixNano')
  const endNs = time('endTimeUnixNano')
  assert.ok(startNs <= endNs, 'a span begins before it ends')
  assert.ok(Math.abs(Number(startNs / 1_000_000n) - Date.now()) < 600_000, 'a span is of now')
  assert.ok(span.kind === 2 || span.kind === 3, `kind ${String(span.kind)}`)
  assert.ok(typeof span.name === 'string' && span.name !== '')
  assert.ok(Number.isInteger(span.flags) && ((span.flags as number) & 1) === 1, 'the flags say sampled')
  const status = span.status as Json
  only(status, ['code', 'message'], 'status')
  const code = (status.code ?? 0) as number
  assert.ok([0, 1, 2].includes(code))
  return {
    service,
    traceId: id('traceId', 32),
    spanId: id('spanId', 16),
    parentSpanId: span.parentSpanId === undefined ? '' : id('parentSpanId', 16),
    traceState: (span.traceState ?? '') as string,
    flags: span.flags as number,
    name: span.name,
    kind: span.kind as number,
    startNs,
    endNs,
    attributes: readAttributes(span.attributes),
    status: code,
  }
}

function readAttributes(value: unknown): Map<string, string | number | boolean> {
  const found = new Map<string, string | number | boolean>()
  for (const attribute of listOf(value, 'attributes')) {
    only(attribute, ['key', 'value'], 'an attribute')
    const key = attribute.key as string
    assert.match(key, /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/, 'names of attributes')
    assert.ok(!found.has(key), `${key} is there twice`)
    const entries = Object.entries(attribute.value as Json)
    assert.equal(entries.length, 1, `${key} has one value`)
    const [kind, one] = entries[0] as [string, unknown]
    if (kind === 'stringValue') assert.equal(typeof one, 'string')
    else if (kind === 'boolValue') assert.equal(typeof one, 'boolean')
    else {
      assert.equal(kind, 'intValue', `${key} is a ${kind}`)
      assert.match(String(one), /^-?\d+$/)
      assert.equal(typeof one, 'string', '64-bit numbers are text')
    }
    found.set(key, kind === 'intValue' ? Number(one) : (one as string | boolean))
  }
  return found
}
