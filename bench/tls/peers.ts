// The three that end TLS in front of the plain origin, on one core, with one worker and the same certificate (ECDSA P-256),
// the same cipher for everybody (TLS_AES_128_GCM_SHA256; ECDHE-ECDSA-AES128-GCM-SHA256 in TLS 1.2), tickets on.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAuthority, writePair } from '../../test/tools/certificates.ts'
import { edgeAlone, proxyTo } from '../lib/edge-alone.ts'
import { haproxy, haproxyHttp } from '../lib/haproxy.ts'
import { nginx, nginxProxy } from '../lib/nginx.ts'
import type { Peer } from '../lib/peers.ts'

const nginxTls = (certFile: string, keyFile: string): string => `
    ssl_certificate ${certFile};
    ssl_certificate_key ${keyFile};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_session_tickets on;`

const haproxyTls = (bothFile: string): Peer =>
  haproxy({
    global: [
      'ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256',
      'ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256',
    ],
    defaults: haproxyHttp,
    bind: `ssl crt ${bothFile} ssl-min-ver TLSv1.2 alpn http/1.1 backlog 4096`,
  })

/** The edge's own process, from a snapshot: what counts here is a worker under TLS. */
const tenfoldTls = (certFile: string, keyFile: string): Peer =>
  edgeAlone(({ originPort }, port) => ({
    ...proxyTo(originPort),
    listeners: [{ id: 'https', kind: 'http', host: '127.0.0.1', port, tls: true }],
    tls: { minVersion: '1.2', certificates: [{ hosts: [], certFile, keyFile, source: 'file' }] },
  }))

/** Writes the certificate that all of them use. */
export async function tlsPeers(folder: string): Promise<readonly Peer[]> {
  const authority = await createAuthority('bench')
  const pair = await authority.sign({ hosts: ['localhost', 'ip:127.0.0.1'] })
  writePair(folder, 'bench', pair)
  const [certFile, keyFile] = [join(folder, 'bench.cert.pem'), join(folder, 'bench.key.pem')]
  const bothFile = join(folder, 'bench.both.pem')
  writeFileSync(bothFile, pair.cert + pair.key)
  return [
    nginx((place, port) => nginxProxy(place, port, { listen: 'ssl', server: nginxTls(certFile, keyFile) })),
    haproxyTls(bothFile),
    tenfoldTls(certFile, keyFile),
  ]
}
