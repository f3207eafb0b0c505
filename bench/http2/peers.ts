// The three that speak HTTP/2 by prior knowledge in front of the plain origin, on one core, with one worker, HTTP/1.1 kept
// alive to the origin, the client's address added, no access log.

import { edgeAlone, proxyTo } from '../lib/edge-alone.ts'
import { haproxy, haproxyHttp } from '../lib/haproxy.ts'
import { packageVersion } from '../lib/machine.ts'
import { nginx, nginxProxy } from '../lib/nginx.ts'
import type { Peer } from '../lib/peers.ts'

export const http2Peers: readonly Peer[] = [
  nginx((place, port) => nginxProxy(place, port, { listen: 'http2' })),
  haproxy({ defaults: haproxyHttp, bind: 'proto h2' }),
  edgeAlone(
    ({ originPort }) => proxyTo(originPort),
    () => `Node ${packageVersion('node')}`,
  ),
]
