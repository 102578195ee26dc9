import assert from 'node:assert/strict';
import { listeningPlan } from '../../../broker/listening.ts';

const loopback = { host: '127.0.0.1', port: 1883 };
const secured = { host: '192.168.1.10', port: 8883, ca: 'A'.repeat(43) };
const plain = { host: '192.168.1.10', port: 1883 };

describe('where a broker listens', () => {
  const cases = [
    { name: 'founded on loopback: there, without TLS', wish: {}, founded: loopback, plan: { listen: loopback } },
    {
      name: 'founded for others: TLS there, plain on loopback alone',
      wish: {},
      founded: secured,
      plan: { listen: loopback, tls: { host: '192.168.1.10', port: 8883 } },
    },
    {
      name: 'founded on loopback, told to listen everywhere: TLS there, plain where it was',
      wish: { host: '0.0.0.0' },
      founded: { host: '127.0.0.1', port: 2883 },
      plan: { listen: { host: '127.0.0.1', port: 2883 }, tls: { host: '0.0.0.0', port: 8883 } },
    },
    {
      name: 'TLS on loopback, because a port was named',
      wish: { tlsPort: 9 },
      founded: loopback,
      plan: { listen: loopback, tls: { host: '127.0.0.1', port: 9 } },
    },
    {
      name: 'insecure: plain for all, and TLS where it was promised',
      wish: { insecure: true, port: 7 },
      founded: secured,
      plan: { listen: { host: '192.168.1.10', port: 7 }, tls: { host: '192.168.1.10', port: 8883 } },
    },
    {
      name: 'insecure, and founded without TLS',
      wish: { insecure: true },
      founded: plain,
      plan: { listen: plain },
    },
  ];
  for (const { name, wish, founded, plan } of cases) {
    it(name, () => assert.deepEqual(listeningPlan({ insecure: false, ...wish }, founded), plan));
  }

  it('does not go beyond this machine without TLS unless it is told to each time', () => {
    assert.throws(() => listeningPlan({ insecure: false }, plain), { code: 'MESH_CONFIG_INVALID' });
  });
});
