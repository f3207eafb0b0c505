// What this part tells clients that it refuses, and operators whose lists it can't read.

import { type Catalogue, defineFailures } from '../../kit/failure.ts'
import type { PassageRefusal } from '../passage.ts'

export const botFailures: Catalogue<'crawlerFile' | 'dataCentreFile' | 'keysFile'> = defineFailures('bots', {
  crawlerFile: {
    when: 'A file of `guard.bots.crawlerFiles` can’t be read, or is no list of a crawler.',
    advice:
      'Write { "name": "...", "agents": ["..."], "ranges": ["192.0.2.0/24"], "hosts": [".example.com"], "purpose": "crawler" }; the lists that Google, Bing and OpenAI publish ("prefixes") can be used as they are, with a "name" beside.',
  },
  dataCentreFile: {
    when: 'A file of `guard.bots.dataCentres.files` can’t be read, or has a line that is neither an address nor a CIDR block.',
    advice: 'Write one address or block a line; empty lines and what follows a # are left out.',
  },
  keysFile: {
    when: 'A file of keys of `guard.bots.signatureAgents` can’t be read, or has no Ed25519 key.',
    advice: 'Write a JSON Web Key Set: { "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "..." }] }.',
  },
})

export const botRefusals: Readonly<Record<'refused' | 'crawler' | 'slowFull', PassageRefusal>> = {
  refused: {
    code: 'GUARD_BOT_REFUSED',
    status: 403,
    text: 'This request looks automatic and is not accepted. If you think that this is a mistake, tell us the request id below.',
  },
  crawler: {
    code: 'GUARD_CRAWLER_REFUSED',
    status: 403,
    text: 'Crawlers of this kind are not served here; see /robots.txt.',
  },
  slowFull: {
    code: 'GUARD_BOT_SLOWED',
    status: 429,
    text: 'Too many requests that look automatic at the moment. Please try again in a few seconds.',
    fields: 'Retry-After: 5\r\n',
  },
}
