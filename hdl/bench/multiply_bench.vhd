-- Checks a binary16 unit against a halfsim vector file of A_B_Z_FF rows: every row, value and flags, bit for bit.
--
-- Generics: VECTORS the file, ROWS how many rows it must have, ROUNDING 0 to 4, TININESS_BEFORE 0 or 1, LIMIT how many
-- mismatches are printed before it stops. Prints PASS or FAIL; a failure is severity failure, which ends ghdl with
-- a non-zero status.
library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;
use std.textio.all;
use std.env.all;

entity multiply_bench is
    generic (
        VECTORS         : string;
        ROWS            : positive;
        ROUNDING        : natural;
        TININESS_BEFORE : natural;
        LIMIT           : positive := 10
    );
end entity;

architecture test of multiply_bench is
    signal a, b, z : std_logic_vector(15 downto 0) := (others => '0');
    signal flags : std_logic_vector(4 downto 0);
    signal before : std_logic;

    -- The word of a row: hexadecimal digits, underscores between the fields.
    procedure read_row(text : inout line; word : out std_logic_vector; good : out boolean) is
        variable digit : character;
        variable nibble : integer;
        variable bits : std_logic_vector(word'length - 1 downto 0) := (others => '0');
        variable count : natural := 0;
    begin
        while text'length > 0 loop
            read(text, digit);
            case digit is
                when '_'        => next;
                when '0' to '9' => nibble := character'pos(digit) - character'pos('0');
                when 'A' to 'F' => nibble := character'pos(digit) - character'pos('A') + 10;
                when 'a' to 'f' => nibble := character'pos(digit) - character'pos('a') + 10;
                when others     => exit;
            end case;
            bits := bits(bits'high - 4 downto 0) & std_logic_vector(to_unsigned(nibble, 4));
            count := count + 1;
        end loop;
        word := bits;
        good := count * 4 = word'length;
    end procedure;
begin
    before <= '1' when TININESS_BEFORE = 1 else '0';

    dut : entity work.binary16_multiply
        port map (a, b, std_logic_vector(to_unsigned(ROUNDING, 3)), before, z, flags);

    process
        file source : text open read_mode is VECTORS;
        variable text : line;
        variable word : std_logic_vector(55 downto 0);
        variable good : boolean;
        variable row, wrong, first : natural := 0;
    begin
        while not endfile(source) and wrong < LIMIT loop
            readline(source, text);
            next when text'length = 0;
            next when text(text'left) = '/';
            read_row(text, word, good);
            row := row + 1;
            assert good report "row " & integer'image(row) & " is not A_B_Z_FF" severity failure;
            a <= word(55 downto 40);
            b <= word(39 downto 24);
            wait for 1 ns;
            if z /= word(23 downto 8) or ("000" & flags) /= word(7 downto 0) then
                wrong := wrong + 1;
                if wrong = 1 then
                    first := row;
                end if;
                write(output, "row " & integer'image(row) & ": operands " & to_hstring(a) & " " & to_hstring(b) & " gave "
                      & to_hstring(z) & "_" & to_hstring("000" & flags) & ", want " & to_hstring(word(23 downto 8)) & "_"
                      & to_hstring(word(7 downto 0)) & LF);
            end if;
        end loop;
        if wrong > 0 then
            write(output, "FAIL first=" & integer'image(first) & LF);
            report integer'image(wrong) & " or more rows disagree" severity failure;
        end if;
        assert row = ROWS
            report "the file ends after " & integer'image(row) & " of " & integer'image(ROWS) & " rows" severity failure;
        write(output, "PASS rows=" & integer'image(row) & LF);
        finish;
    end process;
end architecture;
