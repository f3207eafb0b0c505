// What every adapter does alike: the head that an answer gets of its session, and errors as frameworks understand them.
// Knows no framework.

import { Failure } from '../../kit/failure.ts'
import type { Session } from './session.ts'

/** Any session: adapters look at no data. */
export type AnySession = Pick<Session, 'used' | 'changed' | 'setCookie' | 'save' | 'state'>

export interface SessionOpener {
  open(cookieHeader: string | null | undefined): Promise<AnySession>
}

export interface HeadFields {
  readonly setCookie: string | null
  /** An answer that was made of a session is for one user; said unless the service said something itself. */
  readonly cacheControl: 'private' | null
}

export function headOf(session: AnySession): HeadFields {
  return { setCookie: session.setCookie(), cacheControl: session.used ? 'private' : null }
}

/** Frameworks read `status`, `statusCode` or `getResponse`; others are told by `code`. */
export function asHttpError(error: unknown): unknown {
  if (!(error instanceof Failure)) return error
  const { status, code } = error.kind
  return Object.assign(error, {
    status,
    statusCode: status,
    getResponse: () => new Response(`${code}\n`, { status, headers: { 'content-type': 'text/plain' } }),
  })
}

export function statusOf(error: unknown): { status: number; code: string } {
  if (error instanceof Failure) return { status: error.kind.status, code: error.kind.code }
  return { status: 500, code: 'SESSION_FAILED' }
}
