// What can go wrong with sessions, as the service that uses them sees it.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'

export const sessionFailures: Catalogue<
  'storeAway' | 'tooBig' | 'secretWeak' | 'optionWrong' | 'valueWrong'
> = defineFailures('session', {
  storeAway: {
    when: 'A session could not be read or written because its store does not answer. Nobody is taken for anonymous then.',
    advice:
      "Answer 503 and look at Redis; or choose `whenAway: 'anonymous'` where pages without a user make sense.",
    status: 503,
    retry: true,
  },
  tooBig: {
    when: 'What a session would hold is more than `bytesMax` or `fieldsMax`; nothing of the request was stored in it.',
    advice: 'Keep large things in the database and their keys in the session, or raise the bound.',
    status: 500,
  },
  secretWeak: {
    when: 'Sessions are made without a secret of at least 32 characters.',
    advice:
      'Make one: `openssl rand -base64 32`. Give it first in `secrets`; keep the former one behind it for a while.',
    status: 500,
  },
  optionWrong: {
    when: 'An option of sessions has a value that is not allowed, or that browsers would refuse.',
    advice: 'The message says which and what is allowed.',
    status: 500,
  },
  valueWrong: {
    when: 'A field of a session got a name or a value that can not be kept: values are what JSON can say.',
    advice: 'Name fields with 1-64 characters, and store text, numbers, lists and plain objects.',
    status: 500,
  },
})
