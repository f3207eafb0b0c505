// Makes the page of a challenge for one client: its signed state, a ticket to wait with, its language.

import type { Passage } from '../passage.ts'
import { answerPage, challengeField } from './answers.ts'
import type { Desk } from './desk.ts'
import { challengePage, type NoticeParts, noticePage } from './page-text.ts'
import { type PageState, writePageState, writeTicket } from './page-token.ts'
import { languageFor } from './texts.ts'

export interface PageWish {
  readonly status: number
  readonly notice: 'failed' | 'changed' | null
  /** The proof of work even where Turnstile is the provider. */
  readonly proof: boolean
}

export function languageOf(desk: Desk, passage: Passage): string {
  return languageFor(passage.head.find('accept-language'), desk.spec.languages)
}

export function renderChallenge(desk: Desk, passage: Passage, state: PageState, wish: PageWish): void {
  const { nowMs, keys, spec } = desk
  const language = languageOf(desk, passage)
  const turnstile = spec.provider === 'turnstile' && !wish.proof ? (spec.turnstile ?? null) : null
  const waitMs = desk.waitMsFor(state.risk)
  const html = challengePage({
    language,
    state: writePageState(keys, passage, state, nowMs),
    ticket: writeTicket(keys, passage, state, nowMs + waitMs),
    waitSeconds: Math.ceil(waitMs / 1_000),
    form: state.form,
    notice: wish.notice,
    turnstile,
    requestId: passage.requestId,
    version: desk.assets.version,
  })
  desk.count('pages')
  const kind = turnstile === null ? 'pow' : 'turnstile'
  answerPage(
    passage,
    wish.status,
    language,
    html,
    turnstile?.scriptUrl ?? null,
    `${challengeField}: ${kind}\r\n`,
  )
}

export function renderNotice(
  desk: Desk,
  passage: Passage,
  status: number,
  parts: Pick<NoticeParts, 'notice' | 'waitSeconds' | 'url' | 'link'>,
  more = '',
): void {
  const language = languageOf(desk, passage)
  const html = noticePage({ ...parts, language, requestId: passage.requestId, version: desk.assets.version })
  answerPage(passage, status, language, html, null, more)
}
