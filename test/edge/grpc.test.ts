// gRPC through the edge: @grpc/grpc-js on both ends, every kind of call, statuses in trailers, the edge's own refusals.

import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { type EdgeSetup, proxyRoute, startEdge } from '../tools/edge-harness.ts'
import { closedPort } from '../tools/raw-origin.ts'

const edge = await startEdge({ after })

/** Messages are text: what they mean is no matter of the edge. */
const bytes = {
  requestSerialize: (text: string) => Buffer.from(text),
  requestDeserialize: (from: Buffer) => from.toString(),
  responseSerialize: (text: string) => Buffer.from(text),
  responseDeserialize: (from: Buffer) => from.toString(),
}
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/trial.Echo/${name}`,
  requestStream,
  responseStream,
  ...bytes,
})
const service = {
  unary: method('unary', false, false),
  collect: method('collect', true, false),
  spread: method('spread', false, true),
  both: method('both', true, true),
}
const Client = grpc.makeGenericClientConstructor(service, 'Echo')

interface EchoClient extends grpc.Client {
  unary(request: string, metadata: grpc.Metadata, options: grpc.CallOptions, done: Done): grpc.ClientUnaryCall
  collect(done: Done): grpc.ClientWritableStream<string>
  spread(request: string): grpc.ClientReadableStream<string>
  both(): grpc.ClientDuplexStream<string, string>
}
type Done = (error: grpc.ServiceError | null, answer?: string) => void

const handlers: grpc.UntypedServiceImplementation = {
  unary: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => {
    if (call.request === 'fail') done({ code: grpc.status.FAILED_PRECONDITION, details: 'not now, grün' })
    else if (call.request === 'hang') return
    else {
      const trailers = new grpc.Metadata()
      trailers.set('x-seen', String(call.metadata.get('x-own')[0] ?? ''))
      done(null, `got ${call.request.length}`, trailers)
    }
  },
  collect: (call: grpc.ServerReadableStream<string, string>, done: grpc.sendUnaryData<string>) => {
    let all = ''
    call.on('data', text => (all += text))
    call.on('end', () => done(null, all))
  },
  spread: (call: grpc.ServerWritableStream<string, string>) => {
    for (let i = 0; i < Number(call.request); i++) call.write(`${i}`)
    call.end()
  },
  both: (call: grpc.ServerDuplexStream<string, string>) => {
    call.on('data', text => call.write(`${text}!`))
    call.on('end', () => call.end())
  },
}

async function startService(t: TestContext, setup: EdgeSetup = {}): Promise<EchoClient> {
  const server = new grpc.Server()
  server.addService(service, handlers)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  t.after(() => server.forceShutdown())
  await edge.apply({ members: [port], upstream: { protocol: 'h2' }, ...setup })
  return client(t)
}

function client(t: TestContext): EchoClient {
  const made = new Client(
    `127.0.0.1:${edge.port}`,
    grpc.credentials.createInsecure(),
  ) as unknown as EchoClient
  t.after(() => made.close())
  return made
}

const unary = (
  from: EchoClient,
  request: string,
  metadata: grpc.Metadata = new grpc.Metadata(),
  options: grpc.CallOptions = {},
): Promise<{ answer: string; trailers: grpc.Metadata }> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const call = from.unary(request, metadata, options, (error, text) => {
      if (error === null) answer = text as string
      else reject(error)
    })
    call.on('status', status => {
      if (status.code === 0) resolve({ answer, trailers: status.metadata })
    })
  })

test('a unary call passes, its metadata and trailers too, small and large', async t => {
  const echo = await startService(t)
  const metadata = new grpc.Metadata()
  metadata.set('x-own', '7')
  for (const size of [1, 100_000, 3_000_000]) {
    const { answer, trailers } = await unary(echo, 'x'.repeat(size), metadata)
    assert.equal(answer, `got ${size}`)
    assert.deepEqual(trailers.get('x-seen'), ['7'])
  }
})

test('a failed call keeps its status and message', async t => {
  const echo = await startService(t)
  await assert.rejects(unary(echo, 'fail'), (error: grpc.ServiceError) => {
    assert.equal(error.code, grpc.status.FAILED_PRECONDITION)
    assert.equal(error.details, 'not now, grün')
    return true
  })
})

test('streams pass in both directions, message by message', async t => {
  const echo = await startService(t)
  const collected = await new Promise<string>((resolve, reject) => {
    const call = echo.collect((error, answer) => (error === null ? resolve(answer as string) : reject(error)))
    for (let i = 0; i < 1_000; i++) call.write('ab')
    call.end()
  })
  assert.equal(collected, 'ab'.repeat(1_000))
  const spread: string[] = []
  for await (const text of echo.spread('2000')) spread.push(text as string)
  assert.equal(spread.length, 2_000)
  const both = echo.both()
  const heard: string[] = []
  for (let i = 0; i < 20; i++) {
    const next = new Promise<string>(resolve => both.once('data', resolve))
    both.write(`${i}`)
    heard.push(await next)
  }
  const ended = new Promise(resolve => both.once('end', resolve))
  both.end()
  await ended
  assert.deepEqual(
    heard,
    Array.from({ length: 20 }, (_, i) => `${i}!`),
  )
})

test('a deadline of the client ends its call at the instance', async t => {
  const echo = await startService(t)
  await assert.rejects(unary(echo, 'hang', new grpc.Metadata(), { deadline: Date.now() + 200 }), {
    code: grpc.status.DEADLINE_EXCEEDED,
  })
  await edge.idle()
})

test('what the edge refuses itself is said in gRPC: no instance, no route, too long', async t => {
  await edge.apply({ members: [await closedPort()], upstream: { protocol: 'h2' } })
  await assert.rejects(unary(client(t), 'x'), (error: grpc.ServiceError) => {
    assert.equal(error.code, grpc.status.UNAVAILABLE)
    assert.match(error.details, /instance-unreachable/)
    return true
  })
  await edge.apply({ routes: [proxyRoute('/other')] })
  await assert.rejects(unary(client(t), 'x'), { code: grpc.status.UNIMPLEMENTED })
  const slow = await startService(t, { routes: [proxyRoute('/*', { timeoutMs: 200 })] })
  await assert.rejects(unary(slow, 'hang'), { code: grpc.status.DEADLINE_EXCEEDED })
})
