#include "prover/crc32c.h"
#include "shared/test/check.h"

#include <stddef.h>

static void gives(uint32_t wanted, uint32_t got, const char *what)
{
	if (!EXPECT(wanted == got, what))
		printf("  %08x, not %08x\n", got, wanted);
}

int main(void)
{
	uint8_t bytes[300];

	/* RFC 3720, B.4 */
	gives(0xe3069283, crc32c(0, "123456789", 9), "the check value");
	gives(0x8a9136aa, crc32c(0, (uint8_t[32]){0}, 32), "32 zeros");
	gives(0, crc32c(0, "", 0), "nothing");
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i);
	for (size_t size = 0; size < sizeof(bytes); size++) {
		uint32_t crc = crc32c(0, bytes, size);
		gives(crc, crc32c_by_table(0, bytes, size), "by table");
		gives(crc, crc32c(crc32c(0, bytes, size / 3), bytes + size / 3, size - size / 3),
		      "in two parts");
	}
	struct crc32c_zeros block = {0};
	crc32c_learn_zeros(&block, 5000);
	for (uint32_t crc = 1; crc < 0x80000000U; crc *= 3)
		gives(crc32c_add_zeros(crc, 5000), crc32c_add_learned_zeros(&block, crc), "zeros");
	gives(crc32c(0, (uint8_t[5000]){0}, 5000), crc32c_add_zeros(0, 5000), "many zeros");
	return summary();
}
