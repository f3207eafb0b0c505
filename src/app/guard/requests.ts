// A request of node:http, Express, Fastify, Hono or the web platform, as a human check sees it: by its shape, so that nothing
// of a framework is pulled in.

export interface SeenRequest {
  readonly method: string
  /** One value; undefined: absent, or there are several. */
  field(name: string): string | undefined
  /** What the framework has read of the body, if anything. */
  readonly form: unknown
}

interface NodeLike {
  readonly method?: string | undefined
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body?: unknown
}
interface WebLike {
  readonly method: string
  readonly headers: { get(name: string): string | null }
}
/** Hono's context. */
interface ContextLike {
  readonly req: { readonly raw: WebLike }
}

/** What `verifyHuman` takes. */
export type HumanRequest = NodeLike | WebLike | ContextLike

export function seenRequest(request: HumanRequest): SeenRequest {
  if ('req' in request && 'raw' in request.req) return seenWeb(request.req.raw)
  const { headers } = request as NodeLike | WebLike
  if (typeof (headers as { get?: unknown }).get === 'function') return seenWeb(request as WebLike)
  const node = request as NodeLike
  return {
    method: node.method ?? '',
    field: name => {
      const value = node.headers[name]
      return typeof value === 'string' ? value : undefined
    },
    form: node.body,
  }
}

function seenWeb({ method, headers }: WebLike): SeenRequest {
  return { method, field: name => headers.get(name) ?? undefined, form: undefined }
}

/** Of a form's fields: objects, `FormData` or `URLSearchParams`. A field that is there twice is none. */
export function formField(form: unknown, name: string): string | undefined {
  if (typeof form !== 'object' || form === null) return undefined
  const { getAll } = form as { getAll?: unknown }
  if (typeof getAll === 'function') {
    const values = (form as FormData).getAll(name)
    return values.length === 1 && typeof values[0] === 'string' ? values[0] : undefined
  }
  if (!Object.hasOwn(form, name)) return undefined
  const value = (form as Record<string, unknown>)[name]
  return typeof value === 'string' ? value : undefined
}
