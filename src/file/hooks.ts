// Types of edge functions: what a user's hook gets and may give back. Types only; `src/edge/hooks` calls them. A hook
// never sees a body; it changes heads, or answers by itself.

/** Field names are lower case; several lines of one name are joined by a comma. */
export interface EdgeRequest {
  readonly method: string
  /** Path and query, as they go on: `/films/7?lang=de`. */
  readonly url: string
  /** As the client named it, with the port when it gave one. */
  readonly host: string
  readonly headers: ReadonlyMap<string, string>
  /** The nearest address that is not a trusted proxy's. */
  readonly clientAddress: string
  /** The request's id, as in logs and error pages. */
  readonly id: string
}

export interface EdgeResponse {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
}

/** `remove` and `set` take away what is there; several lines of one name by a list. */
export interface EdgeHeaderChanges {
  readonly set?: Readonly<Record<string, string | readonly string[]>>
  readonly append?: Readonly<Record<string, string | readonly string[]>>
  readonly remove?: readonly string[]
}

export interface EdgeRequestResult {
  readonly headers?: EdgeHeaderChanges
  /** Another path and query, from `/`. The route stays. */
  readonly url?: string
  /** An answer instead of the instance's. */
  readonly respond?: {
    readonly status: number
    readonly headers?: Readonly<Record<string, string | readonly string[]>>
    /** At most 256 KB; text is sent as UTF-8. */
    readonly body?: string | Uint8Array
  }
}

export interface EdgeResponseResult {
  /** 200 to 599, but none without a body (204, 205, 304). */
  readonly status?: number
  readonly headers?: EdgeHeaderChanges
}

type Awaitable<T> = T | Promise<T>

/** Asked before a request goes on to an instance, or to a file. Nothing given back: it goes on as it is. */
export type OnRequest = (request: EdgeRequest) => Awaitable<EdgeRequestResult | undefined>

/** Asked when an instance has answered, before the client gets the head. `request` is as the client sent it. */
export type OnResponse = (
  response: EdgeResponse,
  request: EdgeRequest,
) => Awaitable<EdgeResponseResult | undefined>
