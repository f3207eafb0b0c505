// Notes which clients are given cookies, so that who never returns one can be told. Changes nothing of an answer.

import { fieldId } from '../../wire/fields.ts'
import type { Http1ResponseHead } from '../../wire/http1/index.ts'
import type { AnswerPassage, AnswerSink, AnswerStep } from '../answer.ts'
import type { BotsPart } from './part.ts'

export class CookieStep implements AnswerStep {
  readonly #part: BotsPart
  readonly #behind: AnswerStep | null

  constructor(part: BotsPart, behind: AnswerStep | null) {
    this.#part = part
    this.#behind = behind
  }

  begin(passage: AnswerPassage, head: Http1ResponseHead): AnswerSink | null {
    const visit = this.#part.visitOf(passage)
    if (visit !== null && head.firstOf(fieldId['set-cookie']) >= 0) {
      const row = this.#part.rowOf(passage, visit, this.#part.knownOf(passage))
      this.#part.history.cookieGiven(row)
    }
    return this.#behind === null ? null : this.#behind.begin(passage, head)
  }
}
