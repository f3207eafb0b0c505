// What clients are told who are refused because there is more to do than can be done.

import type { PassageRefusal } from '../passage.ts'

export const shedRefusals: Readonly<Record<'loaded', PassageRefusal>> = {
  loaded: {
    code: 'SHED',
    status: 503,
    text: 'There is more to do than can be done at the moment. Please try again in a moment.',
    fields: 'Retry-After: 5\r\n',
  },
}
