// Asks a Confman server through the official SDK and prints what it got, one JSON document.
import { OpenFeature } from '@openfeature/server-sdk';
import { OFREPProvider } from '@openfeature/ofrep-provider';

const [baseUrl, token, namespace] = process.argv.slice(2);
const headers = [
  ['Authorization', `Bearer ${token}`],
  ['Confman-Namespace', namespace],
];
await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl, headers }));
const client = OpenFeature.getClient();
const context = { targetingKey: 'somebody' };
const details = async (evaluated) => {
  const { value, reason, errorCode } = await evaluated;
  return { value, reason, errorCode };
};
console.log(
  JSON.stringify({
    boolean: await details(client.getBooleanDetails('new/checkout', false, context)),
    number: await details(client.getNumberDetails('limit', 0, context)),
    string: await details(client.getStringDetails('region', 'none', context)),
    object: await details(client.getObjectDetails('tiers', {}, context)),
    missing: await details(client.getStringDetails('nothing', 'fallback', context)),
    mismatch: await details(client.getBooleanDetails('region', true, context)),
  }),
);
await OpenFeature.close();
