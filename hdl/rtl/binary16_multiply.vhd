-- binary16 product, as binary16_multiply.v: RISC-V's NaN rule, roundings and flags.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;

entity binary16_multiply is
    port (
        a, b            : in  std_logic_vector(15 downto 0);
        rounding        : in  std_logic_vector(2 downto 0);  -- 0 nearest even, 1 zero, 2 down, 3 up, 4 ties away
        tininess_before : in  std_logic;
        z               : out std_logic_vector(15 downto 0);
        flags           : out std_logic_vector(4 downto 0)   -- invalid, divideByZero, overflow, underflow, inexact
    );
end entity;

architecture rtl of binary16_multiply is
    constant EMIN : integer := -14;

    function significand(x : std_logic_vector(15 downto 0)) return unsigned is
    begin
        if unsigned(x(14 downto 10)) = 0 then
            return '0' & unsigned(x(9 downto 0));
        end if;
        return '1' & unsigned(x(9 downto 0));
    end function;

    -- Exponent of the last bit; subnormal numbers have that of the smallest normal ones.
    function last_exponent(x : std_logic_vector(15 downto 0)) return integer is
    begin
        if unsigned(x(14 downto 10)) = 0 then
            return -24;
        end if;
        return to_integer(unsigned(x(14 downto 10))) - 25;
    end function;

    function increment(mode : std_logic_vector(2 downto 0); negative, odd, guard, rest : std_logic) return std_logic is
    begin
        case mode is
            when "000"  => return guard and (rest or odd);
            when "010"  => return negative and (guard or rest);
            when "011"  => return not negative and (guard or rest);
            when "100"  => return guard;
            when others => return '0';
        end case;
    end function;

    function to_bit(condition : boolean) return std_logic is
    begin
        if condition then
            return '1';
        end if;
        return '0';
    end function;
begin
    process (all)
        variable sign, guard, rest, up, carries, tiny, overflow, inexact, invalid : std_logic;
        variable product : unsigned(21 downto 0);
        variable kept, bounded : unsigned(12 downto 0);  -- eleven bits, guard, sticky
        variable leading, shift, field : integer;
        variable rounded : unsigned(17 downto 0);
        variable a_nan, b_nan, a_infinite, b_infinite, signaling, finite : boolean;
    begin
        sign := a(15) xor b(15);
        product := significand(a) * significand(b);
        leading := last_exponent(a) + last_exponent(b) + 21;
        for i in 0 to 20 loop
            exit when product(21) = '1';
            product := product sll 1;
            leading := leading - 1;
        end loop;

        -- Eleven bits as if exponents had no end, then shifted into the subnormal range.
        kept := product(21 downto 10) & (or product(9 downto 0));
        carries := (and kept(12 downto 2)) and increment(rounding, sign, kept(2), kept(1), kept(0));
        shift := 0;
        field := leading + 14;
        if leading < EMIN then
            shift := minimum(EMIN - leading, 13);
            field := 0;
        end if;
        bounded := kept srl shift;
        if (bounded sll shift) /= kept then
            bounded(0) := '1';
        end if;
        guard := bounded(1);
        rest := bounded(0);
        up := increment(rounding, sign, bounded(2), guard, rest);
        inexact := guard or rest;
        tiny := to_bit(leading < EMIN) and (tininess_before or not (to_bit(leading = EMIN - 1) and carries));

        rounded := to_unsigned(field * 1024, 18) + bounded(12 downto 2) + unsigned'("" & up);
        overflow := to_bit(rounded >= 16#7C00#);
        finite := rounding = "001" or (rounding = "010" and sign = '0') or (rounding = "011" and sign = '1');

        a_nan := unsigned(a(14 downto 0)) > 16#7C00#;
        b_nan := unsigned(b(14 downto 0)) > 16#7C00#;
        a_infinite := unsigned(a(14 downto 0)) = 16#7C00#;
        b_infinite := unsigned(b(14 downto 0)) = 16#7C00#;
        signaling := (a_nan and a(9) = '0') or (b_nan and b(9) = '0');
        invalid := to_bit(signaling or (a_infinite and unsigned(b(14 downto 0)) = 0)
                          or (b_infinite and unsigned(a(14 downto 0)) = 0));

        if a_nan or b_nan or invalid = '1' then
            z <= x"7E00";
            flags <= invalid & "0000";
        elsif a_infinite or b_infinite then
            z <= sign & "111110000000000";
            flags <= "00000";
        elsif product = 0 then
            z <= sign & "000000000000000";
            flags <= "00000";
        elsif overflow = '1' then
            z <= sign & "111110000000000";
            if finite then
                z <= sign & "111101111111111";
            end if;
            flags <= "00101";
        else
            z <= sign & std_logic_vector(rounded(14 downto 0));
            flags <= "000" & (tiny and inexact) & inexact;
        end if;
    end process;
end architecture;
