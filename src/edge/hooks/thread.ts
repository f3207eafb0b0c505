// The thread that runs a user's hooks: imports the module, calls its functions, turns what they give back into plain data.
// Whatever they do (throw, loop, exhaust memory, never answer) happens here; the worker of the edge ends this thread when
// it must. What comes out of here is judged there, not here.

import { pathToFileURL } from 'node:url'
import { threadContext } from '../../io/threads.ts'
import { type LoadedSource, takeUserModules } from '../../io/user-modules.ts'
import type {
  FlatFields,
  FromHookThread,
  HookReply,
  HookThreadStart,
  RequestParts,
  ToHookThread,
} from './messages.ts'

type Call = Exclude<ToHookThread, 'ping'>
type Hook = (...given: readonly unknown[]) => unknown

const { data, port } = threadContext<HookThreadStart>()
const progress = new Int32Array(data.progress)
const bodyBytesMax = 262_144
/** Modules larger than this are read anew by each thread. */
const sourceCharsMax = 4 << 20

function say(message: FromHookThread): void {
  port.postMessage(message)
}

function mapOf(fields: FlatFields): Map<string, string> {
  const map = new Map<string, string>()
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const before = map.get(name)
    const separator = name === 'cookie' ? '; ' : ', '
    map.set(name, before === undefined ? (fields[i + 1] as string) : before + separator + fields[i + 1])
  }
  return map
}

function requestOf({ method, url, host, fields, clientAddress, id }: RequestParts): object {
  return { method, url, host, headers: mapOf(fields), clientAddress, id }
}

function only(value: object, keys: readonly string[], what: string): void {
  for (const key of Object.keys(value))
    if (!keys.includes(key)) throw new TypeError(`${what} has '${key}'; it may have ${keys.join(', ')}`)
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new TypeError(`${what} is not an object`)
  return value as Record<string, unknown>
}

function flat(value: unknown, what: string): string[] | undefined {
  if (value === undefined) return undefined
  const fields: string[] = []
  const entries = value instanceof Map ? value : Object.entries(objectOf(value, what))
  for (const [name, one] of entries as Iterable<[unknown, unknown]>)
    for (const line of Array.isArray(one) ? one : [one]) {
      if (typeof line !== 'string' && typeof line !== 'number')
        throw new TypeError(`${what} has ${String(name)} with a value that is not text`)
      fields.push(String(name), String(line))
    }
  return fields
}

/** Leaves out what is absent: keys with the value undefined mean nothing. */
function replyOf(value: unknown, ofRequest: boolean): HookReply | null {
  if (value === undefined || value === null) return null
  const result = objectOf(value, 'what it gave back')
  only(result, ofRequest ? ['headers', 'url', 'respond'] : ['headers', 'status'], 'what it gave back')
  const reply: Record<string, unknown> = { url: result.url, status: result.status }
  if (result.headers !== undefined) {
    const headers = objectOf(result.headers, 'headers')
    only(headers, ['set', 'append', 'remove'], 'headers')
    reply.set = flat(headers.set, 'headers.set')
    reply.append = flat(headers.append, 'headers.append')
    if (headers.remove !== undefined) reply.remove = Array.from(headers.remove as Iterable<unknown>, String)
  }
  if (result.respond !== undefined) reply.respond = answerOf(objectOf(result.respond, 'respond'))
  return Object.fromEntries(Object.entries(reply).filter(([, value]) => value !== undefined)) as HookReply
}

function answerOf(respond: Record<string, unknown>): HookReply['respond'] {
  only(respond, ['status', 'headers', 'body'], 'respond')
  const { status, body = '' } = respond
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (!(bytes instanceof Uint8Array)) throw new TypeError('respond.body is neither text nor bytes')
  if (bytes.length > bodyBytesMax)
    throw new TypeError(
      `respond.body has ${bytes.length} bytes; at most ${bodyBytesMax / 1024} KB are possible`,
    )
  const fields = flat(respond.headers, 'respond.headers') ?? []
  return { status: status as number, fields, body: Uint8Array.from(bytes) }
}

async function call(
  hooks: Readonly<Record<string, unknown>>,
  { id, name, request, response }: Call,
): Promise<void> {
  try {
    const hook = hooks[name]
    if (typeof hook !== 'function') throw new TypeError(`there is no function '${name}'`)
    const given = requestOf(request)
    const value =
      response === null
        ? (hook as Hook)(given)
        : (hook as Hook)({ status: response.status, headers: mapOf(response.fields) }, given)
    say({ id, reply: replyOf(await value, response === null) })
  } catch (error) {
    say({ id, error: sentenceOf(error) })
  }
}

function sentenceOf(error: unknown): string {
  try {
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return text.replaceAll(/[\r\n]+/g, ' ').slice(0, 500)
  } catch {
    return 'something that has no text'
  }
}

async function run(): Promise<void> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const sources: LoadedSource[] = [...data.sources]
  let chars = 0
  takeUserModules({
    own: new URL(`../../index.${extension}`, import.meta.url).href,
    sources: data.sources,
    loaded: source => {
      chars += source.source.length
      if (chars <= sourceCharsMax) sources.push(source)
    },
  })
  let hooks: Record<string, unknown>
  try {
    hooks = (await import(pathToFileURL(data.module).href)) as Record<string, unknown>
  } catch (error) {
    say({ broken: sentenceOf(error) })
    return
  }
  port.on('message', (message: ToHookThread) => {
    if (message === 'ping') say('pong')
    else {
      Atomics.store(progress, 0, message.id)
      void call(hooks, message)
    }
  })
  const ready = Object.keys(hooks).filter(name => typeof hooks[name] === 'function')
  say({ ready, sources: chars > sourceCharsMax ? [] : sources })
}

await run()
