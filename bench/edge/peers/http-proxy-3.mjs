// http-proxy-3 as its documentation starts it, with a keep-alive agent: node http-proxy-3.mjs PORT ORIGIN_PORT

import { Agent } from 'node:http'
import { createProxyServer } from 'http-proxy-3'

const [port, originPort] = process.argv.slice(2).map(Number)
createProxyServer({
  target: { host: '127.0.0.1', port: originPort },
  xfwd: true,
  agent: new Agent({ keepAlive: true, maxSockets: 256 }),
}).listen(port, '127.0.0.1')
