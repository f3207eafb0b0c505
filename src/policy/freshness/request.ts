// What is taken out of requests whose answers may be stored: fields by which origins are told another host, path or method
// than the key has (RFC 9111 7.1).

import type { KeyRules } from './contract.ts'

/** Believed by one framework or another. X-Forwarded-For, -Proto and -Host are not here: the edge writes these itself. */
const misleading: readonly string[] = [
  'forwarded-host',
  'front-end-https',
  'true-client-ip-host',
  'x-forwarded-path',
  'x-forwarded-port',
  'x-forwarded-prefix',
  'x-forwarded-scheme',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-forwarded-url',
  'x-host',
  'x-http-destinationurl',
  'x-http-host-override',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-url',
  'x-override-url',
  'x-proxy-url',
  'x-rewrite-url',
  'x-scheme',
  'x-url-scheme',
  'x-wap-profile',
]

/** Lower-case names that are not passed on where an answer may be stored, unless the key has them. */
export function unkeyedFields(key: KeyRules): readonly string[] {
  const keyed = new Set([...key.headers, key.countryHeader])
  return misleading.filter(name => !keyed.has(name))
}
